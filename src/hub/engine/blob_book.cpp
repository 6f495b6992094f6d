// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/blob_book.h"

#include <fmt/format.h>

namespace geres::hub::engine {

using store::BlobState;

void BlobBook::put(store::BlobRow row, BlobState state) {
  row.state = state;
  row.at = now_.wall;
  store_.changes().blobs.push_back(std::move(row));
}

Result<BlobClaim> BlobBook::claim(const ClaimBlob& verb) {
  const auto row = store_.read().blob(verb.key);
  if (row && row->state == BlobState::removing)
    return fail(Code::notDone, fmt::format("an old copy of file {} is just being removed", verb.key.sha256));
  const bool there = row && row->state != BlobState::arriving;
  put(row.value_or(store::BlobRow{verb.key, verb.size}), there ? BlobState::there : BlobState::arriving);
  return BlobClaim{there};
}

Result<bool> BlobBook::arrived(const BlobArrived& verb) {
  const auto row = store_.read().blob(verb.key);
  if (!row || row->state == BlobState::removing)
    return fail(Code::notDone,
                fmt::format("the upload of file {} took too long, and it was swept away", verb.key.sha256));
  put(*row, BlobState::there);
  return true;
}

// What a claim or a name has brought back since a row began to fade is seen here, within the tick: so a blob of which
// somebody was told that it is there is never removed.
Result<BlobSweep> BlobBook::sweep(const SweepBlobs& verb) {
  BlobSweep slice;
  const auto rows = store_.read().blobs_since(verb.state, verb.before, verb.after, verb.max);
  for (const auto& row : rows) {
    slice.next = row;
    const bool named = store_.read().blob_named(row.key);
    switch (row.state) {
      case BlobState::arriving:
      case BlobState::there:
        if (!named) put(row, BlobState::fading);
        break;
      case BlobState::fading:
        put(row, named ? BlobState::there : BlobState::removing);
        if (!named) slice.remove.push_back(row.key);
        break;
      case BlobState::removing:
        slice.remove.push_back(row.key);
        break;
    }
  }
  slice.last = rows.size() < verb.max;
  return slice;
}

Result<bool> BlobBook::removed(const BlobsRemoved& verb) {
  for (const auto& key : verb.keys) {
    const auto row = store_.read().blob(key);
    if (row && row->state == BlobState::removing) store_.changes().blobs_removed.push_back(key);
  }
  return true;
}

}  // namespace geres::hub::engine
