// SPDX-License-Identifier: Apache-2.0
#include "simulation/ledger.h"

#include <fmt/format.h>

#include "hub/engine/state.h"

namespace geres::simulation {

using model::JobState;
using store::EventType;

namespace {

const store::AtHost* at_host(const store::JobEvent& told) {
  return std::get_if<store::AtHost>(&told.news);
}
const store::Retrying* retrying(const store::JobEvent& told) {
  return std::get_if<store::Retrying>(&told.news);
}

bool waits(JobState state) {
  return state == JobState::ready || state == JobState::scheduled;
}
bool held(JobState state) {
  return state == JobState::leased || state == JobState::running;
}

// Which states an event may find and leave. A change of notBefore moves a waiting job without an event, so ready and
// scheduled count as one.
bool fits(EventType type, JobState from, JobState to) {
  switch (type) {
    case EventType::job_ready:
      return to == JobState::ready && (waits(from) || held(from));
    case EventType::job_leased:
      return to == JobState::leased && waits(from);
    case EventType::job_started:
      return to == JobState::running && from == JobState::leased;
    case EventType::job_progressed:
      return held(from) && to == from;
    case EventType::job_retrying:
      return to == JobState::scheduled && held(from);
    case EventType::job_finished:
      return to == JobState::finished && held(from);
    case EventType::job_failed:
      return to == JobState::failed && !model::ended(from);
    case EventType::job_cancelled:
      return to == JobState::cancelled && !model::ended(from);
    default:
      return false;
  }
}

}  // namespace

// ---- events ---------------------------------------------------------------------------------------------------------

std::uint64_t Ledger::print_of(const store::EventRow& event) {
  return std::hash<std::string>()(store::event_text(event.data)) * 31 + std::uint64_t(event.type) * 7 +
         event.subject.high;
}

void Ledger::take_event(const store::EventRow& event, store::Reads& reads, Millis now) {
  now_ = now;
  if (event.no != last_event_ + 1)
    return violate("I11", fmt::format("event {} was told after event {}", event.no, last_event_));
  last_event_ = event.no;
  prints_.push_back(print_of(event));
  if (event.type == EventType::host_joined) fair.host_joined();
  if (event.type <= EventType::job_cancelled) take_job_event(event, reads);
}

void Ledger::take_job_event(const store::EventRow& event, store::Reads& reads) {
  if (event.type == EventType::job_submitted) return made(event, reads);
  auto* job = find(event.subject);
  if (job == nullptr) return violate("I11", fmt::format("event {} is about an unknown job", event.no));
  const auto* told = std::get_if<store::JobEvent>(&event.data);
  const auto context = [&] {
    return fmt::format("event {} ({}) of job {}: {} after {}", event.no, store::event_name(event.type),
                       job->row.id.str(), store::event_text(event.data), model::state_name(job->state));
  };
  if (told == nullptr) return violate("I11", context());
  const auto& [to, version, attempt, news] = *told;
  if (model::ended(job->state)) return violate("I2", context());
  if (!fits(event.type, job->state, to)) return violate("I11", context());
  if (version <= job->version) return violate("I11", context() + fmt::format(", version {}", job->version));
  if (attempt != job->attempt + (event.type == EventType::job_leased ? 1 : 0))
    return violate("I4", context() + fmt::format(", attempt {}", job->attempt));
  if (event.type == EventType::job_started && !starts_said_.contains({job->row.id, attempt}))
    return violate("I4", context() + ", which no host has said");
  job->version = version;
  job->attempt = attempt;
  if (event.type == EventType::job_leased) granted(*job, event.no);
  tell_sick_hosts(*job, event, *told, reads);
  if (event.type == EventType::job_ready && held(job->state) && !attempts_heard_.contains({job->row.id, attempt}))
    hit(Path::lease_never_heard);
  moved(*job, event, *told, reads);
}

void Ledger::tell_sick_hosts(const JobRecord& job, const store::EventRow& event, const store::JobEvent& told,
                             store::Reads& reads) {
  const auto id = job.row.id;
  switch (event.type) {
    case EventType::job_leased:
      return sick.leased(id, job.attempt, at_host(told) ? at_host(told)->host : "", now_);
    case EventType::job_started:
      return sick.started(id, job.attempt);
    case EventType::job_retrying:
      return sick.paused(id, job.attempt, retrying(told) ? retrying(told)->last.failures : -1, now_, event.at);
    case EventType::job_ready:
      if (held(job.state)) sick.ready_again(id, job.attempt, reads);
      return;
    case EventType::job_finished:
    case EventType::job_failed:
    case EventType::job_cancelled:
      return sick.ended(id, job.attempt, reads);
    default:
      return;
  }
}

void Ledger::made(const store::EventRow& event, store::Reads& reads) {
  auto row = reads.job(event.subject);
  if (!row)
    return violate("I11", fmt::format("event {} tells of job {}, which is not there", event.no, event.subject.str()));
  auto& job = jobs[event.subject];
  if (job.version != 0) return violate("I11", fmt::format("job {} was submitted twice", event.subject.str()));
  job.row = std::move(*row);
  job.first_event = event.no;
  if (const auto* told = std::get_if<store::JobEvent>(&event.data))
    job.version = told->version, job.state = told->state;
  if (job.version != 1 || !waits(job.state))
    violate("I11", fmt::format("event {}: {}", event.no, store::event_text(event.data)));
  if (!job.row.status.redrive_of) {
    const auto& name = job.row.spec.name;
    const auto dot = name.find('.');
    job.op = std::stoi(name);
    job.index = std::stoi(name.substr(dot + 1));
    submits.at(std::size_t(job.op)).made.at(std::size_t(job.index)).push_back(event.subject);
  }
  ++live;
  count(job, job.state, +1);
}

void Ledger::count(const JobRecord& job, JobState state, int by) {
  auto& tenant = tenants[job.row.spec.tenant];
  if (state == JobState::ready) fair.waiting(job.row.spec.tenant, by, job.avoids);
  if (!held(state)) return;
  tenant.running += by;
  batches[job.row.spec.batch].running += by;
}

void Ledger::moved(JobRecord& job, const store::EventRow& event, const store::JobEvent& told, store::Reads& reads) {
  const auto to = told.state;
  count(job, job.state, -1);
  if (fair.judged && to == JobState::ready) {
    const auto row = reads.job(job.row.id);
    job.avoids = row && !row->status.trouble.avoid.empty();
  }
  count(job, to, +1);
  const bool was_held = held(job.state);
  if (was_held && !held(to)) fair.ended(job.row.spec.tenant, job.row.id);
  job.state = to;
  switch (event.type) {
    case EventType::job_progressed:
      return hit(Path::progress_told);
    case EventType::job_retrying:
      return hit(Path::retried);
    case EventType::job_failed: {
      using model::Reason;
      const auto* failed = std::get_if<store::FailedForGood>(&told.news);
      const auto reason = failed == nullptr ? Reason::none : failed->reason;
      if (reason == Reason::poison) job.reason = Reason::poison, hit(Path::poison);
      if (reason == Reason::internal) hit(Path::never_started);
      if (reason == Reason::maxAttempts) hit(Path::attempts_used_up);
      if (reason == Reason::queueTimeout) hit(Path::queue_timeout);
      break;
    }
    case EventType::job_cancelled:
      if (!cancel_asked(job))
        violate("I9", fmt::format("job {} was cancelled, and nobody had asked", job.row.id.str()));
      job.cancelled_held = was_held;
      hit(was_held ? Path::cancel_while_running : Path::cancel_while_waiting);
      break;
    case EventType::job_finished:
      if (job.cancelled_after > 0) hit(Path::cancel_raced_with_finish);
      break;
    default:
      return;
  }
  job.ended_at = event.at;
  --live;
}

// As in the event: before it is counted.
void Ledger::granted(JobRecord& job, store::EventNo no) {
  const auto& spec = job.row.spec;
  auto& tenant = tenants[spec.tenant];
  auto& batch = batches[spec.batch];
  const auto late = [&](store::EventNo after) { return after > 0 && no > after; };
  if (late(job.cancelled_after) || late(batch.cancelled_after))
    return violate(
        "I9", fmt::format("job {} got attempt {} after its cancel was acknowledged", job.row.id.str(), job.attempt));
  if (job.held_until > now_)
    return violate("I5", fmt::format("job {} got attempt {} while a host held attempt {} for {} ms more",
                                     job.row.id.str(), job.attempt, job.held_attempt, job.held_until - now_));
  if (tenant.max_running > 0 && tenant.running >= tenant.max_running)
    return violate("I14", fmt::format("tenant {} has more than {} leases", spec.tenant, tenant.max_running));
  if (batch.max_running > 0 && batch.running >= batch.max_running)
    return violate("I14", fmt::format("batch {} has more than {} leases", batch.name, batch.max_running));
  if (tenant.max_running > 0 && tenant.running + 1 == tenant.max_running) hit(Path::tenant_at_its_limit);
  if (batch.max_running > 0 && batch.running + 1 == batch.max_running) hit(Path::batch_at_its_limit);
  fair.leased(spec.tenant, job.row.id);
}

// ---- answers --------------------------------------------------------------------------------------------------------

void Ledger::answered(const model::Job& job) {
  if (auto* record = find(job.id)) record->told = std::max(record->told, job.status.version);
}

void Ledger::read(Uuid id, const std::optional<model::Job>& job) {
  auto* record = find(id);
  if (record == nullptr || record->purged) return;
  if (!job) return violate("I1", fmt::format("job {} is not there", id.str()));
  const auto seen = std::max(record->told, record->version);
  if (job->status.version < seen)
    return violate("I12", fmt::format("job {} is read with version {} after {}", id.str(), job->status.version, seen));
  if (model::ended(record->state) && job->status.state != record->state)
    return violate("I2", fmt::format("job {} had ended as {} and is {}", id.str(), model::state_name(record->state),
                                     model::state_name(job->status.state)));
  record->told = job->status.version;
}

void Ledger::cancel_acknowledged(const model::Job& job, store::EventNo told) {
  answered(job);
  if (!model::ended(job.status.state) && !job.status.cancel_requested_at)
    return violate("I9", fmt::format("the cancel of job {} was answered without effect", job.id.str()));
  if (auto* record = find(job.id)) record->cancelled_after = std::max<store::EventNo>(told, 1);
}

bool Ledger::cancel_asked(const JobRecord& job) {
  return job.cancel_asked || tenants[job.row.spec.tenant].cancel_asked.contains(job.row.spec.type) ||
         batches[job.row.spec.batch].cancel_asked;
}

int Ledger::new_submit(std::string tenant, int n, bool keyed) {
  auto& op = submits.emplace_back();
  op.tenant = std::move(tenant);
  op.jobs = n;
  op.keyed = keyed;
  op.made.resize(std::size_t(n));
  return int(submits.size()) - 1;
}

bool Ledger::kept(Uuid id) {
  const auto* job = find(id);
  return job != nullptr && !job->purged;
}

void Ledger::submitted(int no, const hub::engine::Submitted& answer) {
  auto& op = submits[std::size_t(no)];
  ++op.done;
  if (int(answer.ids.size()) != op.jobs)
    return violate("I7", fmt::format("submit {} of {} jobs was answered with {}", no, op.jobs, answer.ids.size()));
  // A key answers as long as its job is kept.
  for (std::size_t i = 0; op.keyed && i < op.ids.size(); ++i)
    if (op.ids[i] != answer.ids[i] && kept(op.ids[i]))
      return violate("I7", fmt::format("the repeat of submit {} was answered with another job", no));
  op.ids = answer.ids;
  for (const auto& job : answer.jobs) answered(job);
}

// ---- hosts ----------------------------------------------------------------------------------------------------------

void Ledger::lease_heard(Uuid lease, Uuid job, int attempt) {
  auto [it, fresh] = leases.try_emplace(lease);
  if (fresh) {
    it->second.job = job;
    it->second.attempt = attempt;
    if (!attempts_heard_.emplace(job, attempt).second)
      violate("I4", fmt::format("attempt {} of job {} was given away twice", attempt, job.str()));
  } else if (it->second.job != job || it->second.attempt != attempt) {
    violate("I4", fmt::format("lease {} changed what it is for", lease.str()));
  }
}

void Ledger::fetch_answered(Uuid host, const std::string& id, const hub::engine::FetchAnswer& answer,
                            const hub::engine::State& state) {
  std::map<Uuid, Uuid> told;
  for (const auto& granted : answer.leases) told.emplace(granted.lease.name, granted.lease.job);
  auto& granted = fetches_[{host, id}];
  for (const auto& [lease, job] : granted) {
    const auto now = state.leases.find(job.seq());
    if (!told.contains(lease) && now != state.leases.end() && now->second.row.name == lease)
      violate("fetch", fmt::format("the repeat of fetch {} was answered without lease {}", id, lease.str()));
  }
  granted.merge(told);
  const auto known = state.hosts.find(host);
  if (known == state.hosts.end() || known->second.row.instance.empty()) return;
  const auto& instance = scaling.machines[host] = known->second.row.instance;
  if (!answer.leases.empty() && scaling.removed.contains(instance))
    violate("scaler", fmt::format("machine {} is being removed, and gets a lease", instance));
}

void Ledger::machine_removed(const std::string& instance, const hub::engine::State& state) {
  if (scaling.removed.insert(instance).second) hit(Path::machine_removed);
  for (const auto& [seq, lease] : state.leases) {
    const auto host = scaling.machines.find(lease.row.host);
    if (host != scaling.machines.end() && host->second == instance)
      violate("scaler",
              fmt::format("machine {} is removed while lease {} is current on it", instance, lease.row.name.str()));
  }
}

void Ledger::start_said(Uuid lease) {
  const auto found = leases.find(lease);
  if (found == leases.end()) return;
  found->second.started_said = true;
  starts_said_.emplace(found->second.job, found->second.attempt);
}

void Ledger::holds(Uuid id, int attempt, Millis until) {
  auto* job = find(id);
  if (job == nullptr || attempt < job->held_attempt) return;
  job->held_attempt = attempt;
  job->held_until = until;
}

void Ledger::lets_go(Uuid id, int attempt) {
  if (auto* job = find(id); job != nullptr && job->held_attempt == attempt) job->held_until = 0;
}

void Ledger::accepted(const hub::engine::Completion& item) {
  auto& lease = leases[item.lease];
  if (lease.accepted && (*lease.accepted != item.outcome || lease.exit != item.exit))
    return violate("I3", fmt::format("two different ends of lease {} were accepted", item.lease.str()));
  if (lease.accepted) hit(Path::completion_repeated);
  memory.ended(lease.job, lease.attempt, item);
  lease.accepted = item.outcome;
  lease.exit = item.exit;
}

void Ledger::began(Uuid id, int attempt) {
  auto* job = find(id);
  if (job == nullptr) return violate("I1", fmt::format("job {} runs before it was told of", id.str()));
  if (++job->executing > 1)
    return violate("I6", fmt::format("attempt {} of job {} began while another one ran", attempt, id.str()));
  auto& tenant = tenants[job->row.spec.tenant];
  auto& batch = batches[job->row.spec.batch];
  ++tenant.executing, ++batch.executing;
  if (tenant.max_running > 0 && tenant.executing > tenant.max_running)
    violate("I14", fmt::format("tenant {} runs {} jobs of at most {}", job->row.spec.tenant, tenant.executing,
                               tenant.max_running));
  if (batch.max_running > 0 && batch.executing > batch.max_running)
    violate("I14", fmt::format("batch {} runs {} jobs of at most {}", batch.name, batch.executing, batch.max_running));
}

void Ledger::over(Uuid id) {
  auto* job = find(id);
  if (job == nullptr) return;
  --job->executing;
  --tenants[job->row.spec.tenant].executing;
  --batches[job->row.spec.batch].executing;
}

}  // namespace geres::simulation
