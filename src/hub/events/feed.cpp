// SPDX-License-Identifier: Apache-2.0
#include "hub/events/feed.h"

#include <algorithm>
#include <utility>

namespace geres::hub::events {
namespace {

bool ends(store::EventType type) {
  return type == store::EventType::job_finished || type == store::EventType::job_failed ||
         type == store::EventType::job_cancelled;
}

}  // namespace

Feed::Subscription::Subscription(Subscription&& other) noexcept
    : feed_(std::exchange(other.feed_, nullptr)), job_(other.job_), number_(other.number_) {}

Feed::Subscription::~Subscription() {
  if (feed_ != nullptr) feed_->unsubscribe(job_, number_);
}

Feed::Subscription Feed::subscribe(Uuid job, unsigned interests, Nudge nudge) {
  const auto number = ++numbers_;
  auto& part = shard(job);
  const std::lock_guard lock(part.mutex);
  part.entries[job].push_back({number, interests, std::move(nudge)});
  ++subscribers_;
  return Subscription(*this, job, number);
}

void Feed::publish(const std::vector<store::EventRow>& events) {
  for (const auto& event : events)
    if (about_job(event.type)) nudge(event.subject, ends(event.type) ? changed | ended : changed);
}

void Feed::nudge(Uuid job, unsigned interests) {
  if (subscribers_.load() == 0) return;
  auto& part = shard(job);
  const std::lock_guard lock(part.mutex);
  const auto found = part.entries.find(job);
  if (found == part.entries.end()) return;
  for (const auto& entry : found->second)
    if ((entry.interests & interests) != 0) entry.nudge();
}

void Feed::unsubscribe(Uuid job, std::uint64_t number) {
  auto& part = shard(job);
  const std::lock_guard lock(part.mutex);
  const auto found = part.entries.find(job);
  if (found == part.entries.end()) return;
  std::erase_if(found->second, [number](const Entry& entry) { return entry.number == number; });
  if (found->second.empty()) part.entries.erase(found);
  --subscribers_;
}

}  // namespace geres::hub::events
