// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/enrolment_rows.h"

#include "hub/store/shapes/small.h"

namespace geres::hub::store::sqlite {

void put_join_tokens(Database& database, const std::vector<model::JoinToken>& tokens) {
  put_each(database, "INSERT OR REPLACE INTO join_token VALUES(?,?,?,?,?,?,?,?,?)", tokens,
           [](const auto& row, auto put) { shapes::join_token_columns(row, put); });
}

std::vector<model::JoinToken> read_join_tokens(Database& database) {
  return all(database.cached("SELECT id, sha256, name, tenants, expires, uses, uses_left, created_by, created_at"
                             " FROM join_token ORDER BY id"),
             [](Columns row) { return shapes::read_join_token(row); });
}

void put_enrolments(Database& database, const std::vector<model::Enrolment>& enrolments) {
  put_each(database, "INSERT OR REPLACE INTO enrolment VALUES(?,?,?,?,?,?,?,?,?,?,?)", enrolments,
           [](const auto& row, auto put) { shapes::enrolment_columns(row, put); });
}

std::vector<model::Enrolment> read_enrolments(Database& database) {
  return all(database.cached("SELECT id, name, tenants, secret_sha256, earlier_sha256, earlier_until, secret_since,"
                             " join_token, joining, change, enrolled_at FROM enrolment ORDER BY id"),
             [](Columns row) { return shapes::read_enrolment(row); });
}

}  // namespace geres::hub::store::sqlite
