// SPDX-License-Identifier: Apache-2.0
#include "hub/api/brake.h"

#include <algorithm>

namespace geres::hub::api {

bool Brake::take(const std::string& caller, Millis now) {
  if (per_second_ <= 0) return true;
  const std::lock_guard lock(mutex_);
  if (buckets_.size() >= kCallersMax) forget_the_idle(now);
  auto& bucket = buckets_.try_emplace(caller, Bucket{burst_, now}).first->second;
  bucket.left = std::min(burst_, bucket.left + double(now - bucket.at) * per_second_ / 1'000);
  bucket.at = now;
  if (bucket.left < 1) return false;
  --bucket.left;
  return true;
}

// If none is idle all begin anew, because memory must not grow with every address that ever called.
void Brake::forget_the_idle(Millis now) {
  std::erase_if(buckets_, [&](const auto& entry) {
    const auto& bucket = entry.second;
    return bucket.left + double(now - bucket.at) * per_second_ / 1'000 >= burst_;
  });
  if (buckets_.size() >= kCallersMax) buckets_.clear();
}

}  // namespace geres::hub::api
