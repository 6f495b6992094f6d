// SPDX-License-Identifier: Apache-2.0
// Which blobs an object store holds. Such a store cannot remove an object on condition that nobody has just put it
// again, so the engine's tick decides which of two came first (store::BlobState).
#pragma once

#include "hub/engine/round.h"

namespace geres::hub::engine {

class BlobBook {
 public:
  explicit BlobBook(Round& round) : store_(round.store), now_(round.now) {}

  Result<BlobClaim> claim(const ClaimBlob& verb);
  Result<bool> arrived(const BlobArrived& verb);
  Result<BlobSweep> sweep(const SweepBlobs& verb);
  Result<bool> removed(const BlobsRemoved& verb);

 private:
  void put(store::BlobRow row, store::BlobState state);

  BufferedStore& store_;
  const Now& now_;
};

}  // namespace geres::hub::engine
