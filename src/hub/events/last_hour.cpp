// SPDX-License-Identifier: Apache-2.0
#include "hub/events/last_hour.h"

#include <algorithm>

namespace geres::hub::events {
namespace {

constexpr Millis kMinute = 60'000;
constexpr std::int64_t kMinutes = 60;

std::optional<model::JobState> state_after(store::EventType type) {
  if (type == store::EventType::job_finished) return model::JobState::finished;
  if (type == store::EventType::job_failed) return model::JobState::failed;
  if (type == store::EventType::job_cancelled) return model::JobState::cancelled;
  return std::nullopt;
}

}  // namespace

std::int64_t& LastHour::Counts::of(model::JobState state) {
  return state == model::JobState::finished ? finished : state == model::JobState::failed ? failed : cancelled;
}

void LastHour::Counts::add(const Counts& more) {
  finished += more.finished, failed += more.failed, cancelled += more.cancelled;
}

void LastHour::seed(const std::vector<store::EndedCount>& counts) {
  const std::lock_guard lock(mutex_);
  for (const auto& row : counts) minutes_[row.minute][row.tenant].of(row.state) += row.count;
}

void LastHour::publish(const std::vector<store::EventRow>& events) {
  const std::lock_guard lock(mutex_);
  for (const auto& event : events) {
    const auto state = state_after(event.type);
    if (!state) continue;
    const auto minute = event.at / kMinute;
    if (minutes_.empty() || minute > minutes_.rbegin()->first) forget_before(minute - kMinutes);
    ++minutes_[minute][event.tenant].of(*state);
  }
}

LastHour::Counts LastHour::counts(Millis now, const std::function<bool(const std::string& tenant)>& sees) {
  const std::lock_guard lock(mutex_);
  forget_before(now / kMinute - kMinutes);
  Counts sum;
  for (const auto& [minute, tenants] : minutes_)
    for (const auto& [tenant, counts] : tenants)
      if (sees(tenant)) sum.add(counts);
  return sum;
}

void LastHour::forget_before(std::int64_t minute) {
  minutes_.erase(minutes_.begin(), minutes_.lower_bound(minute));
}

}  // namespace geres::hub::events
