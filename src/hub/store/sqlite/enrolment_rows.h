// SPDX-License-Identifier: Apache-2.0
// Join tokens, and the hosts that have enrolled with them.
#pragma once

#include "hub/store/sqlite/connection.h"
#include "hub/store/store.h"

namespace geres::hub::store::sqlite {

void put_join_tokens(Database& database, const std::vector<model::JoinToken>& tokens);
void put_enrolments(Database& database, const std::vector<model::Enrolment>& enrolments);

std::vector<model::JoinToken> read_join_tokens(Database& database);
std::vector<model::Enrolment> read_enrolments(Database& database);

}  // namespace geres::hub::store::sqlite
