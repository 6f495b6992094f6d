// SPDX-License-Identifier: Apache-2.0
// Writes one tick's changes, table by table in the order of the fields of Changes.
#pragma once

#include "hub/store/sqlite/connection.h"
#include "hub/store/store.h"

namespace geres::hub::store::sqlite {

// The numbers that a store remembers for good, though the rows go: kept in the row of table meta.
struct HighMarks {
  EventNo event = 0;
  std::uint64_t id = 0;
  LaneNo lane = 0;
  Seq backdated = 0;  // of the last job whose id is later than its submission, as the clock had gone back
};

void apply_changes(Database& database, const Changes& changes, HighMarks& marks);

}  // namespace geres::hub::store::sqlite
