// SPDX-License-Identifier: Apache-2.0
// Writes one tick's changes, table by table in the order of the fields of Changes.
#pragma once

#include "hub/store/derived.h"
#include "hub/store/sqlite/connection.h"
#include "hub/store/store.h"

namespace geres::hub::store::sqlite {

void apply_changes(Database& database, const Changes& changes, HighMarks& marks);

}  // namespace geres::hub::store::sqlite
