// SPDX-License-Identifier: Apache-2.0
// The name of each batch, so that a job can be shown with its batch's name without asking the store.
#pragma once

#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>

#include "model/batch.h"

namespace geres::hub::api {

// Any thread. Names never change.
class BatchNames {
 public:
  void put(const model::Batch& batch);
  void remove(Uuid batch);
  std::optional<std::string> find(Uuid batch) const;

 private:
  mutable std::shared_mutex mutex_;
  std::unordered_map<Uuid, std::string> names_;
};

}  // namespace geres::hub::api
