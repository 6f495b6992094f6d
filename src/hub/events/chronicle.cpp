// SPDX-License-Identifier: Apache-2.0
#include "hub/events/chronicle.h"

#include <algorithm>
#include <boost/describe/enum_to_string.hpp>

#include "base/log.h"
#include "model/job.h"

namespace geres::hub::events {
namespace {

using store::EventType;

constexpr Millis kMinute = 60'000;
constexpr std::size_t kTenantsCounted = 1'000;

// Empty: the event does not say.
std::string reason_of(const store::EventRow& event) {
  const auto* job = std::get_if<store::JobEvent>(&event.data);
  const auto* failed = job == nullptr ? nullptr : std::get_if<store::FailedForGood>(&job->news);
  return failed == nullptr ? std::string() : boost::describe::enum_to_string(failed->reason, "");
}

// The job's row says what kind of job it was; a job without one has been purged meanwhile. Its name and its error are
// not written: they may hold a command with all its words, and the last line of what the job printed.
void tell_job(store::Reads& reads, const store::EventRow& event) {
  const auto reason = reason_of(event);
  std::optional<model::Job> job;
  try {
    job = reads.job(event.subject);
  } catch (const std::exception&) {
    // The line is worth more than its details.
  }
  std::vector<log::Member> members{{"job", event.subject.str()}, {"tenant", event.tenant}, {"reason", reason}};
  if (job) {
    members.emplace_back("type", job->spec.type);
    members.emplace_back("batch", model::batch_text(job->spec.batch));
    members.emplace_back("host", job->status.host);
    members.emplace_back("attempt", job->status.attempt);
    if (job->status.exit && job->status.exit->code) members.emplace_back("exitCode", *job->status.exit->code);
  }
  log::event(log::Level::warn, "job failed for good", members);
}

}  // namespace

void Chronicle::seed(const std::vector<model::Host>& hosts) {
  const std::lock_guard lock(mutex_);
  for (const auto& host : hosts)
    if (host.mode != model::HostMode::run) draining_.insert(host.id);
}

void Chronicle::publish(const std::vector<store::EventRow>& events) {
  for (const auto& event : events) {
    switch (event.type) {
      case EventType::job_failed:
        tell_failed(event);
        break;
      case EventType::host_joined:
      case EventType::host_draining:
      case EventType::host_left:
      case EventType::host_lost:
        tell_host(event);
        break;
      default:
        break;
    }
  }
}

void Chronicle::tell_host(const store::EventRow& event) {
  bool resumed = false;
  {
    const std::lock_guard lock(mutex_);
    if (event.type == EventType::host_draining)
      draining_.insert(event.subject);
    else
      resumed = draining_.erase(event.subject) > 0 && event.type == EventType::host_joined;
  }
  const bool lost = event.type == EventType::host_lost;
  if (lost) ++hosts_lost_;
  if (resumed || event.type == EventType::host_draining) return;  // said with the call that asked for it
  const auto left_out = host_lines_.take(clock_.monotonic());
  if (!left_out) return;
  const auto* told = std::get_if<store::HostEvent>(&event.data);
  std::vector<log::Member> members{{"host", told ? told->name : ""}, {"hostId", event.subject.str()}};
  if (told != nullptr) members.emplace_back("slots", std::int64_t(told->slots));
  if (*left_out > 0) members.emplace_back("linesLeftOut", *left_out);
  log::event(lost ? log::Level::warn : log::Level::info,
             lost                                   ? "host lost"
             : event.type == EventType::host_joined ? "host joined"
                                                    : "host left",
             members);
}

void Chronicle::tell_failed(const store::EventRow& event) {
  const Millis now = clock_.monotonic();
  if (!failed_lines_.take(now)) return leave_out(event, now);
  later_([this, event] { tell_job(reads_, event); });
}

void Chronicle::leave_out(const store::EventRow& event, Millis now) {
  auto reason = reason_of(event);
  const std::lock_guard lock(mutex_);
  if (left_out_.jobs++ == 0) left_out_.since = now;
  ++left_out_.reasons[std::move(reason)];
  if (left_out_.tenants.size() < kTenantsCounted || left_out_.tenants.contains(event.tenant))
    ++left_out_.tenants[event.tenant];
}

void Chronicle::sum_up() {
  LeftOut what;
  const Millis now = clock_.monotonic();
  {
    const std::lock_guard lock(mutex_);
    if (left_out_.jobs == 0 || now - left_out_.since < kMinute) return;
    std::swap(what, left_out_);
  }
  tell_left_out(what, now);
}

void Chronicle::sum_up_all() {
  LeftOut what;
  {
    const std::lock_guard lock(mutex_);
    if (left_out_.jobs == 0) return;
    std::swap(what, left_out_);
  }
  tell_left_out(what, clock_.monotonic());
}

// "jobs": how many; then how many for each reason; and the tenant that most of them are of.
void Chronicle::tell_left_out(const LeftOut& what, Millis now) const {
  const auto most = std::max_element(what.tenants.begin(), what.tenants.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  std::vector<log::Member> members{{"jobs", what.jobs}, {"seconds", (now - what.since + 999) / 1000}};
  for (const auto& [reason, n] : what.reasons) members.emplace_back(reason.empty() ? "other" : reason, n);
  members.emplace_back("tenants", std::int64_t(what.tenants.size()));
  members.emplace_back("mostOfTenant", most->first);
  members.emplace_back("mostOfTenantJobs", most->second);
  log::event(log::Level::warn, "more jobs failed for good", members);
}

}  // namespace geres::hub::events
