// SPDX-License-Identifier: Apache-2.0
// Which blobs there are, for stores of blobs that cannot decide it themselves.
#pragma once

#include "hub/store/sqlite/connection.h"
#include "hub/store/store.h"

namespace geres::hub::store::sqlite {

void put_blobs(Database& database, const std::vector<BlobRow>& blobs);
void remove_blobs(Database& database, const std::vector<BlobKey>& blobs);

std::optional<BlobRow> find_blob(Database& database, const BlobKey& key);
std::vector<BlobRow> blobs_since(Database& database, BlobState state, Millis before, const BlobRow& after,
                                 std::size_t max);
bool blob_named(Database& database, const BlobKey& key);

}  // namespace geres::hub::store::sqlite
