// SPDX-License-Identifier: Apache-2.0
// What is known of blobs beside their bytes: whether one is there and whether something names it. An object store
// cannot remove on condition, so there this index decides which of an upload and a sweep came first (store::BlobState).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "hub/store/rows.h"

namespace geres::hub::packages {

// Any thread; all verbs may block. Besides what is said, all may fail with notDone and unavailable.
class BlobIndex {
 public:
  struct Slice {
    std::vector<store::BlobKey> remove;  // the caller removes their bytes, then says removed()
    store::BlobRow next;                 // where to go on
    bool last = false;
  };

  virtual ~BlobIndex() = default;
  // Before an upload; true: it is there already. notDone while an old copy is being removed.
  [[nodiscard]] virtual Result<bool> claim(const store::BlobKey& key, std::int64_t size) = 0;
  // After it. notDone if the claim has been swept away meanwhile.
  [[nodiscard]] virtual Result<void> arrived(const store::BlobKey& key) = 0;
  virtual std::vector<std::optional<store::BlobRow>> find(std::span<const store::BlobKey> keys) = 0;
  // Of what is in `state` since before `before`, from after `after`: what nothing names takes its next step.
  [[nodiscard]] virtual Result<Slice> sweep(store::BlobState state, Millis before, const store::BlobRow& after) = 0;
  // These are there, whoever put them there.
  [[nodiscard]] virtual Result<void> adopt(const std::vector<store::BlobRow>& rows) = 0;
  [[nodiscard]] virtual Result<void> removed(const std::vector<store::BlobKey>& keys) = 0;
};

}  // namespace geres::hub::packages
