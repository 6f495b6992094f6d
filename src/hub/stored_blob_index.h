// SPDX-License-Identifier: Apache-2.0
// The index of blobs as the engine's store keeps it.
#pragma once

#include "hub/engine/engine.h"
#include "hub/packages/blob_index.h"

namespace geres::hub {

// Any thread but the engine's.
class StoredBlobIndex final : public packages::BlobIndex {
 public:
  StoredBlobIndex(engine::Engine& engine, store::Reads& reads) : engine_(engine), reads_(reads) {}

  Result<bool> claim(const store::BlobKey& key, std::int64_t size) override;
  Result<void> arrived(const store::BlobKey& key) override;
  std::vector<std::optional<store::BlobRow>> find(std::span<const store::BlobKey> keys) override {
    return reads_.blobs(keys);
  }
  Result<Slice> sweep(store::BlobState state, Millis before, const store::BlobRow& after) override;
  Result<void> adopt(const std::vector<store::BlobRow>& rows) override;
  Result<void> removed(const std::vector<store::BlobKey>& keys) override;

 private:
  engine::Engine& engine_;
  store::Reads& reads_;
};

}  // namespace geres::hub
