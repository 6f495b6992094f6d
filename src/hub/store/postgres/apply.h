// SPDX-License-Identifier: Apache-2.0
// One tick's writes: a statement for each kind of row, sent and not waited for.
#pragma once

#include "hub/store/derived.h"
#include "hub/store/postgres/connection.h"

namespace geres::hub::store::postgres {

void apply_changes(Connection& connection, const Changes& changes, HighMarks& marks);

}  // namespace geres::hub::store::postgres
