// SPDX-License-Identifier: Apache-2.0
// Hosts: joining, being heard of, being told things. A fetch is a long poll that is parked on the desk; an answer to it
// counts as heard when the host names its id in a report.
#include <fmt/format.h>

#include <algorithm>

#include "hub/engine/charging.h"
#include "hub/engine/tick.h"

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

void Tick::emit_host(EventType type, const HostState& host) {
  emit(type, host.row.id, "", fmt::format(R"({{"name":"{}","slots":{}}})", host.row.name, host.row.slots));
}

// The host whose call this is, now known to be alive.
HostState* Tick::seen_host(Uuid id) {
  const auto found = state_.hosts.find(id);
  if (found == state_.hosts.end()) return nullptr;
  auto& host = found->second;
  host.last_seen = now_.monotonic;
  host.last_seen_wall = now_.wall;
  host.just_registered = false;
  host.let_a_lease_run_out = false;
  if (host.lost) {
    host.lost = false;
    host.shown.reset();
    ++state_.fleet;
    emit_host(EventType::host_joined, host);
  }
  return &host;
}

void Tick::forget_host(Uuid id) {
  const auto found = state_.hosts.find(id);
  if (found == state_.hosts.end()) return;
  const auto& row = found->second.row;
  if (const auto named = state_.host_names.find({row.name, row.tenants});
      named != state_.host_names.end() && named->second == id)
    state_.host_names.erase(named);
  state_.news.erase(id);
  ++state_.fleet;
  forget_charges(found->second, now_.monotonic);
  state_.kept_free.erase(id);
  changes_.hosts_removed.push_back(id);
  hosts_forgotten.push_back(id);
  state_.hosts.erase(found);
}

Result<model::Host> Tick::register_host(const RegisterHost& wanted) {
  HostState host;
  host.row = wanted.host;
  if (auto& tenants = host.row.tenants) {
    std::sort(tenants->begin(), tenants->end());
    tenants->erase(std::unique(tenants->begin(), tenants->end()), tenants->end());
  }
  const auto same_name = state_.host_names.find({host.row.name, host.row.tenants});
  if (same_name != state_.host_names.end() && same_name->second != wanted.replaces) {
    const auto& other = state_.hosts.at(same_name->second);
    // One that was never heard of since it joined is this one, whose answer was lost.
    if (!other.lost && !other.just_registered)
      return fail(
          Code::hostAlive,
          fmt::format("a host '{}' is connected already, from {}; its last report came {} ms ago", wanted.host.name,
                      other.row.address.empty() ? "?" : other.row.address, now_.monotonic - other.last_seen),
          "/name", "another --name, or stop the other one first");
    forget_host(same_name->second);
  }
  if (wanted.replaces && state_.hosts.contains(*wanted.replaces)) {
    // Its earlier life holds the data directory no more, so nothing of it runs: its attempts are over now.
    const auto held = state_.hosts.at(*wanted.replaces).leases;
    for (const auto seq : held) end_attempt(state_.leases.at(seq), model::Outcome::lost, nullptr);
    forget_host(*wanted.replaces);
  }
  host.row.id = ids_.next(now_.wall);
  host.row.joined_at = now_.wall;
  host.last_seen = host.last_took = now_.monotonic;
  host.last_seen_wall = now_.wall;
  changes_.hosts.push_back(host.row);
  emit_host(EventType::host_joined, host);
  state_.host_names[{host.row.name, host.row.tenants}] = host.row.id;
  const auto row = host.row;
  ++state_.fleet;
  state_.hosts.emplace(row.id, std::move(host));
  return row;
}

HostInfo Tick::info(const HostState& host) const {
  HostInfo info;
  info.host = host.row;
  info.alive = !host.lost;
  info.slots_busy = host.slots_used;
  info.health = host.health.state();
  if (info.health != model::Health::well) {
    info.health_reason = host.health.reason();
    info.health_tested_at = now_.wall + std::max<Millis>(0, host.health.until() - now_.monotonic);
  }
  for (const auto seq : host.leases) {
    const auto& lease = state_.leases.at(seq);
    info.leases.push_back({lease.row.job, lease.job.spec.tenant});
  }
  std::sort(info.leases.begin(), info.leases.end(), [](const auto& a, const auto& b) { return a.job < b.job; });
  return info;
}

Result<HostInfo> Tick::set_host_mode(const std::string& text, HostMode mode) {
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
  if (found == state_.hosts.end()) return no_host(text);
  auto& host = found->second;
  if (host.row.mode != mode) {
    host.row.mode = mode;
    host.shown.reset();
    ++state_.fleet;
    changes_.hosts.push_back(host.row);
    state_.news.insert(host.row.id);
    emit_host(mode == HostMode::run ? EventType::host_joined : EventType::host_draining, host);
  }
  return info(host);
}

void Tick::watch_hosts() {
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
      host.shown.reset();
      ++state_.fleet;
      emit_host(EventType::host_lost, host);
    }
    if (host.lost && host.leases.empty() && silent > options_.host_forgotten_after) forgotten.push_back(id);
  }
  for (const auto id : forgotten) forget_host(id);
}

// ---- fetches --------------------------------------------------------------------------------------------------------

// The host has taken in these fetches' answers: what they told it needs no telling again.
void Tick::confirm_answers(HostState& host, const std::function<bool(const std::string& fetch_id)>& heard) {
  std::erase_if(host.cancels_told, [&](const auto& told) {
    if (!heard(told.second.fetch_id)) return false;
    if (const auto lease = state_.leases.find(told.first); lease != state_.leases.end())
      lease->second.cancel_confirmed = told.second.sure;
    return true;
  });
}

// A repeat is told again what its fetch was granted and told, and takes nobody's place. Where that was nothing, the
// newest one waits on: an answer that got lost must not keep a host idle.
Result<std::optional<FetchAnswer>> Tick::fetch_opened(const FetchCall& call) {
  auto* host = seen_host(call.host);
  if (host == nullptr) return host_gone();
  // By its leases too: after a start these are all that is known of earlier fetches, and which of them was the newest
  // is a guess where the wall clock has jumped.
  const bool known = host->has_fetched(call.fetch_id) ||
                     std::any_of(host->leases.begin(), host->leases.end(),
                                 [&](auto seq) { return state_.leases.at(seq).row.fetch_id == call.fetch_id; });
  const bool newest = call.fetch_id == host->fetch_id;
  if (known) {
    FetchAnswer again;
    again.leases = leases_of_fetch(*host, call.fetch_id);
    again.cancel = cancels_of_fetch(*host, call.fetch_id);
    again.mode = host->row.mode;
    if (!newest || !again.leases.empty() || !again.cancel.empty()) return std::optional(std::move(again));
  }
  fetched_now_.insert(call.host);
  if (newest) return std::optional<FetchAnswer>();
  host->fetch_id = call.fetch_id;
  // Until a report has come nothing is known of what the host heard: this may be a late copy of its last fetch.
  host->fetch_answered = host->last_seq < 0;
  host->fetch_heard = false;
  host->remember_fetch(call.fetch_id);
  return std::optional<FetchAnswer>();
}

std::vector<Granted> Tick::leases_of_fetch(const HostState& host, const std::string& fetch_id) {
  std::vector<Granted> granted;
  std::vector<Uuid> ids;
  for (const auto seq : host.leases) {
    const auto& lease = state_.leases.at(seq);
    if (lease.row.fetch_id != fetch_id) continue;
    ids.push_back(lease.row.job);
    granted.push_back({lease.row, {}});
  }
  if (granted.empty()) return granted;
  flush();
  auto jobs = store_.jobs(ids);
  for (std::size_t i = 0; i < granted.size(); ++i) granted[i].job = std::move(*jobs[i]);
  return granted;
}

std::vector<CancelOrder> Tick::cancels_of_fetch(const HostState& host, const std::string& fetch_id) {
  std::vector<CancelOrder> orders;
  for (const auto& [seq, told] : host.cancels_told) {
    const auto lease = state_.leases.find(seq);
    if (told.fetch_id == fetch_id && lease != state_.leases.end())
      orders.push_back({lease->second.row.name, lease->second.row.cancel_grace});
  }
  return orders;
}

std::vector<CancelOrder> Tick::cancels_for(HostState& host, bool in_fetch) {
  std::vector<CancelOrder> orders;
  for (const auto seq : host.leases) {
    const auto& lease = state_.leases.at(seq);
    if (!lease.row.cancel_requested_at || lease.cancel_confirmed) continue;
    // A fetch is told once, else it would be answered again at once; reports are told until it is confirmed.
    if (in_fetch && !host.cancels_told.try_emplace(seq, host.fetch_id, lease.held && !host.fetch_answered).second)
      continue;
    orders.push_back({lease.row.name, lease.row.cancel_grace});
  }
  return orders;
}

Tick::FetchReply& Tick::reply_to(HostState& host) {
  const auto [known, added] = reply_of_.try_emplace(host.row.id, fetch_replies.size());
  if (!added) return fetch_replies[known->second];
  auto& reply = fetch_replies.emplace_back();
  reply.host = host.row.id;
  reply.fetch_id = host.fetch_id;
  return reply;
}

void Tick::answer_fetches() {
  std::set<Uuid> candidates = fetched_now_;
  candidates.insert(state_.news.begin(), state_.news.end());
  for (const auto id : candidates) {
    const auto found = state_.hosts.find(id);
    const auto open = desk_.fetches.find(id);
    if (found == state_.hosts.end()) {
      state_.news.erase(id);
      continue;
    }
    auto& host = found->second;
    if (open == desk_.fetches.end() || open->second.call.fetch_id != host.fetch_id) continue;
    auto cancels = cancels_for(host, true);
    if (!cancels.empty()) reply_to(host).answer.cancel = std::move(cancels);
    if (host.row.mode != host.mode_told) reply_to(host);
    state_.news.erase(id);
  }
  for (const auto& [until, id] : desk_.fetch_ends) {
    if (until > now_.monotonic) break;
    if (const auto found = state_.hosts.find(id); found != state_.hosts.end()) reply_to(found->second);
  }
  for (auto& reply : fetch_replies) reply.answer.mode = state_.hosts.at(reply.host).row.mode;
}

}  // namespace geres::hub::engine
