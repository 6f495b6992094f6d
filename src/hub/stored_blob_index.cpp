// SPDX-License-Identifier: Apache-2.0
#include "hub/stored_blob_index.h"

#include "hub/engine/ask_and_wait.h"

namespace geres::hub {

using engine::ask_and_wait;

Result<bool> StoredBlobIndex::claim(const store::BlobKey& key, std::int64_t size) {
  const auto claim = ask_and_wait(engine_, engine::ClaimBlob{key, size});
  if (!claim) return claim.error();
  return claim->there;
}

Result<void> StoredBlobIndex::arrived(const store::BlobKey& key) {
  const auto arrived = ask_and_wait(engine_, engine::BlobArrived{key});
  return arrived ? Result<void>() : arrived.error();
}

Result<packages::BlobIndex::Slice> StoredBlobIndex::sweep(store::BlobState state, Millis before,
                                                          const store::BlobRow& after) {
  auto slice = ask_and_wait(engine_, engine::SweepBlobs{state, before, after});
  if (!slice) return slice.error();
  return Slice{std::move(slice->remove), std::move(slice->next), slice->last};
}

// All in as few ticks as take them: the last one is waited for.
Result<void> StoredBlobIndex::adopt(const std::vector<store::BlobRow>& rows) {
  if (rows.empty()) return {};
  const engine::Answer<engine::BlobClaim> claimed = [](const Result<engine::BlobClaim>&) {};
  const engine::Answer<bool> arrived = [](const Result<bool>&) {};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    engine_.ask(engine::ClaimBlob{rows[i].key, rows[i].size}, claimed);
    if (i + 1 < rows.size()) engine_.ask(engine::BlobArrived{rows[i].key}, arrived);
  }
  return this->arrived(rows.back().key);
}

Result<void> StoredBlobIndex::removed(const std::vector<store::BlobKey>& keys) {
  const auto done = ask_and_wait(engine_, engine::BlobsRemoved{keys});
  return done ? Result<void>() : done.error();
}

}  // namespace geres::hub
