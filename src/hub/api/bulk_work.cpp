// SPDX-License-Identifier: Apache-2.0
#include "hub/api/bulk_work.h"

#include <utility>

namespace geres::hub::api {

void BulkWork::begin(Work work) {
  const std::lock_guard lock(mutex_);
  forget_the_old(work.started_at);
  const auto id = work.id;
  by_id_.emplace(id, std::move(work));
}

void BulkWork::progressed(Uuid id, std::int64_t done) {
  const std::lock_guard lock(mutex_);
  if (const auto found = by_id_.find(id); found != by_id_.end()) found->second.done = done;
}

void BulkWork::ended(Uuid id, Result<std::int64_t> count, Millis now) {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  found->second.ended_at = now;
  if (count)
    found->second.done = *count;
  else
    found->second.error = count.error();
}

std::optional<BulkWork::Work> BulkWork::find(Uuid id) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? std::nullopt : std::optional(found->second);
}

// Ids are in the order of their times, so the first are the oldest.
void BulkWork::forget_the_old(Millis now) {
  std::erase_if(by_id_, [&](const auto& item) {
    return item.second.ended_at && (*item.second.ended_at + kKept <= now || by_id_.size() >= kKeptMax);
  });
}

}  // namespace geres::hub::api
