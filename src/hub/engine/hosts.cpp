// SPDX-License-Identifier: Apache-2.0
// A host is known by its id; its name is one of its set of tenants.
#include "hub/engine/hosts.h"

#include <fmt/format.h>

#include <algorithm>

#include "hub/engine/charging.h"

namespace geres::hub::engine {

using model::HostMode;
using store::EventType;

namespace {

Error no_host(const std::string& text) {
  return fail(Code::notFound, fmt::format("there is no host '{}'", text), {}, "geres hosts shows them");
}

}  // namespace

Error many_hosts(const std::string& name, const std::vector<Uuid>& ids) {
  std::string list;
  for (const auto id : ids) list += (list.empty() ? "" : ", ") + id.str();
  return fail(Code::conflict,
              fmt::format("{} hosts are named '{}', each for other tenants: {}", ids.size(), name, list), {},
              "use an id");
}

Error host_gone() {
  return fail(Code::hostGone, "this host is not registered any more", {}, "register again: POST /v1/hosts");
}

void Hosts::emit_host(EventType type, const HostState& host) {
  events_.emit(type, host.row.id, "", store::HostEvent{host.row.name, host.row.slots});
}

HostState* Hosts::seen(Uuid id) {
  const auto found = state_.hosts.find(id);
  if (found == state_.hosts.end()) return nullptr;
  auto& host = found->second;
  host.last_seen = now_.monotonic;
  host.last_seen_wall = now_.wall;
  host.just_registered = false;
  if (host.row.enrolment) enrolments_.heard(host.row.enrolment);
  if (std::exchange(host.let_a_lease_run_out, false)) state_.board.touch(host);
  if (host.lost) {
    host.lost = false;
    state_.changed(host);
    state_.fleet_changed = true;
    emit_host(EventType::host_joined, host);
  }
  return &host;
}

void Hosts::leave(Uuid id) {
  emit_host(EventType::host_left, state_.hosts.at(id));
  if (auto open = desk_.close(id)) out_.replaced_fetches.push_back(std::move(*open));  // expected: no hostGone
  forget(id);
}

Result<bool> Hosts::remove_enrolment(Uuid id) {
  if (!state_.enrolments.contains(id)) return fail(Code::notFound, fmt::format("no host has joined as '{}'", id.str()));
  if (const auto host = state_.enrolled_hosts.find(id); host != state_.enrolled_hosts.end()) {
    const Uuid life = host->second;
    emit_host(EventType::host_left, state_.hosts.at(life));
    forget(life);
  }
  enrolments_.forget(id);
  return true;
}

void Hosts::forget(Uuid id) {
  const auto found = state_.hosts.find(id);
  if (found == state_.hosts.end()) return;
  const auto& row = found->second.row;
  if (!row.instance.empty() && is_retired(row)) forget_drain({row.name, row.tenants});  // that machine never comes back
  if (const auto named = state_.host_names.find({row.name, row.tenants});
      named != state_.host_names.end() && named->second == id)
    state_.host_names.erase(named);
  state_.news.erase(id);
  if (const auto own = state_.enrolled_hosts.find(row.enrolment);
      own != state_.enrolled_hosts.end() && own->second == id)
    state_.enrolled_hosts.erase(own);
  machines_.left(row);
  state_.fleet_changed = true;
  forget_charges(found->second, now_.monotonic);
  state_.kept_free.erase(id);
  store_.changes().hosts_removed.push_back(id);
  out_.hosts_forgotten.push_back(id);
  state_.board.forget(found->second);
  state_.hosts.erase(found);
}

// Of a host that has the name: forgets it, where it is this one or may be replaced.
Result<void> Hosts::free_name(const HostState& host, const Admission& admission) {
  const auto same_name = state_.host_names.find({host.row.name, host.row.tenants});
  if (same_name == state_.host_names.end() || same_name->second == admission.replaces) return {};
  const auto& other = state_.hosts.at(same_name->second);
  const bool own = admission.enrolment ? admission.enrolment->id && other.row.enrolment == admission.enrolment->id
                                       : !other.row.enrolment;
  if (!own && !admission.takes_over) return name_taken(host.row.name);
  // One that was never heard of since it joined is this one, whose answer was lost. Of a machine that may be removed
  // it must be known that it runs nothing, and of a host that is forgotten that is not known.
  const bool never_heard = (own && other.just_registered) || admission.never_heard;
  const bool holds_machine = !other.row.instance.empty() && !other.leases.empty();
  if ((!other.lost && !never_heard) || holds_machine) {
    if (!own)
      return fail(Code::hostAlive, fmt::format("a host '{}' is connected already", host.row.name), "/name",
                  "stop it first; once it is silent this one takes its place");
    return fail(Code::hostAlive,
                fmt::format("a host '{}' is connected already, from {}; its last report came {} ms ago", host.row.name,
                            other.row.address.empty() ? "?" : other.row.address, now_.monotonic - other.last_seen),
                "/name", "another --name, or stop the other one first");
  }
  forget(same_name->second);
  return {};
}

Result<model::Host> Hosts::join(const RegisterHost& wanted) {
  HostState host;
  host.row = wanted.host;
  const auto admission = enrolments_.admit(wanted, host.row);
  if (!admission) return admission.error();
  if (auto ok = free_name(host, *admission); !ok) return ok.error();
  if (const auto replaces = admission->replaces; replaces && state_.hosts.contains(*replaces)) {
    // Its earlier life holds the data directory no more, so nothing of it runs: its attempts are over now.
    const auto held = state_.hosts.at(*replaces).leases;
    for (const auto seq : held) attempts_.end(state_.leases.at(seq), model::Outcome::lost, nullptr);
    forget(*replaces);
    store_.replaced(*replaces);
  }
  if (admission->displaces)
    if (const auto theirs = state_.enrolled_hosts.find(*admission->displaces); theirs != state_.enrolled_hosts.end())
      forget(theirs->second);
  host.row.id = ids_.next(now_.wall);
  host.row.joined_at = now_.wall;
  host.last_seen = host.last_took = now_.monotonic;
  host.last_seen_wall = host.idle_since = now_.wall;
  if (const auto drained = state_.host_drains.find({host.row.name, host.row.tenants});
      drained != state_.host_drains.end()) {
    host.row.mode_reason =
        fmt::format("an operator drained it at {}, before it came back", format_time(drained->second));
    host.row.mode = HostMode::drain;
    host.row.mode_by = model::ModeBy::operator_;
  }
  enrolments_.enter(*admission, host.row);
  machines_.joined(host.row);
  store_.changes().hosts.push_back(host.row);
  emit_host(EventType::host_joined, host);
  state_.host_names[{host.row.name, host.row.tenants}] = host.row.id;
  const auto row = host.row;
  state_.fleet_changed = true;
  state_.changed(state_.hosts.emplace(row.id, std::move(host)).first->second);
  return row;
}

HostInfo host_info(const State& state, const HostState& host, const Now& now, Millis guess) {
  HostInfo info;
  info.host = host.row;
  info.alive = !host.lost;
  info.slots_busy = host.slots_used;
  info.health = host.health.state();
  if (info.health != model::Health::well) {
    info.health_reason = host.health.reason();
    info.health_tested_at = now.wall + std::max<Millis>(0, host.health.until() - now.monotonic);
  }
  for (const auto seq : host.leases) {
    const auto& lease = state.leases.at(seq);
    info.leases.push_back({lease.row.job, lease.lane->row.key.tenant, lease.row.granted_at,
                           expected_duration(*lease.lane, guess), expected_p90(*lease.lane, guess), lease.lane->row.no,
                           lease.lane->row.duration.ends});
  }
  if (host.leases.empty()) info.idle_since = host.idle_since;
  std::sort(info.leases.begin(), info.leases.end(), [](const auto& a, const auto& b) { return a.job < b.job; });
  return info;
}

Result<HostInfo> Hosts::set_mode(const std::string& text, HostMode mode) {
  auto found = state_.hosts.end();
  if (const auto id = parse_uuid(text)) {
    found = state_.hosts.find(*id);
  } else {
    std::vector<Uuid> ids;
    for (auto named = state_.host_names.lower_bound({text, std::nullopt});
         named != state_.host_names.end() && named->first.first == text; ++named)
      ids.push_back(named->second);
    if (ids.size() > 1) return many_hosts(text, ids);
    if (!ids.empty()) found = state_.hosts.find(ids[0]);
  }
  if (found == state_.hosts.end()) {
    if (mode == HostMode::run)
      if (auto away = resume_absent(text)) return std::move(*away);
    return no_host(text);
  }
  auto& host = found->second;
  if (is_retired(host.row))
    return fail(Code::conflict, fmt::format("the machine of host '{}' is being removed", host.row.name), {},
                "it takes no jobs any more; another machine is ordered if one is wanted");
  const State::HostName name(host.row.name, host.row.tenants);
  if (mode == HostMode::drain) keep_drain(name);
  if (mode == HostMode::run) forget_drain(name);
  set_mode(host, mode, model::ModeBy::operator_, {});
  return host_info(state_, host, now_, options_.duration_guess);
}

void Hosts::keep_drain(const State::HostName& name) {
  if (!state_.host_drains.try_emplace(name, now_.wall).second) return;
  store_.changes().host_drains.push_back({name.first, name.second, now_.wall});
}

void Hosts::forget_drain(const State::HostName& name) {
  if (state_.host_drains.erase(name) == 0) return;
  store_.flush();  // of what is written and removed in one go the removal comes first
  store_.changes().host_drains_removed.push_back({name.first, name.second, 0});
}

// One that was drained and is away: it comes back as any other.
std::optional<HostInfo> Hosts::resume_absent(const std::string& name) {
  const auto first = state_.host_drains.lower_bound({name, std::nullopt});
  if (first == state_.host_drains.end() || first->first.first != name) return std::nullopt;
  HostInfo info;
  info.host.name = name;
  info.host.tenants = first->first.second;
  info.alive = false;
  while (true) {
    const auto next = state_.host_drains.lower_bound({name, std::nullopt});
    if (next == state_.host_drains.end() || next->first.first != name) return info;
    forget_drain(State::HostName(next->first));
  }
}

void Hosts::set_mode(HostState& host, HostMode mode, model::ModeBy by, const std::string& reason) {
  auto& row = host.row;
  const bool moves = row.mode != mode;
  if (!moves && row.mode_by == by) return;
  row.mode = mode;
  row.mode_by = by;
  row.mode_reason = reason;
  state_.changed(host);
  state_.fleet_changed = true;
  store_.changes().hosts.push_back(row);
  if (!moves) return;
  state_.news.insert(row.id);
  emit_host(mode == HostMode::run ? EventType::host_joined : EventType::host_draining, host);
}

void Hosts::watch() {
  if (now_.monotonic < state_.next_host_check) return;
  state_.next_host_check = now_.monotonic + 1'000;
  std::vector<Uuid> forgotten;
  for (auto& [id, host] : state_.hosts) {
    const auto fetch = desk_.fetches.find(id);
    if (fetch != desk_.fetches.end()) host.last_seen = now_.monotonic, host.last_seen_wall = now_.wall;
    if (host.slots_used >= host.row.slots || (fetch != desk_.fetches.end() && fetch->second.call.slots > 0))
      host.last_took = now_.monotonic;
    const Millis silent = now_.monotonic - host.last_seen;
    if (!host.lost && silent > options_.host_lost_after) {
      host.lost = true;
      state_.changed(host);
      state_.fleet_changed = true;
      emit_host(EventType::host_lost, host);
    }
    if (host.lost && host.leases.empty() && silent > options_.host_forgotten_after) forgotten.push_back(id);
  }
  for (const auto id : forgotten) forget(id);
  enrolments_.purge();
}

}  // namespace geres::hub::engine
