// SPDX-License-Identifier: Apache-2.0
// Making the store's schema and bringing it up to date, in small transactions that wait for nobody for long.
#pragma once

#include <span>
#include <string_view>

#include "hub/store/postgres/connection.h"

namespace geres::hub::store::postgres {

std::span<const std::string_view> migrations();

// Throws StoreFailed (fatal) where the schema is another program's or of a newer version.
void migrate(Connection& connection, const std::string& schema);

// What a store needs of its server, asked of a new connection; fatal, with a sentence that says what would be right.
void require_sound(Connection& connection, bool unsafe_allowed);

}  // namespace geres::hub::store::postgres
