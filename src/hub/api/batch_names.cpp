// SPDX-License-Identifier: Apache-2.0
#include "hub/api/batch_names.h"

#include <mutex>

namespace geres::hub::api {

void BatchNames::put(const model::Batch& batch) {
  const std::unique_lock lock(mutex_);
  names_[batch.id] = batch.name;
}

void BatchNames::remove(Uuid batch) {
  const std::unique_lock lock(mutex_);
  names_.erase(batch);
}

std::optional<std::string> BatchNames::find(Uuid batch) const {
  if (batch == model::kDefaultBatch) return "Default Batch";
  const std::shared_lock lock(mutex_);
  const auto found = names_.find(batch);
  if (found == names_.end()) return std::nullopt;
  return found->second;
}

}  // namespace geres::hub::api
