// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/enrolment_rows.h"

#include "hub/store/sqlite/json_columns.h"

namespace geres::hub::store::sqlite {

void put_join_tokens(Database& database, const std::vector<model::JoinToken>& tokens) {
  if (tokens.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO join_token VALUES(?,?,?,?,?,?,?,?,?)");
  for (const auto& t : tokens) {
    const std::string tenants = names_text(t.tenants);
    put.bind(t.id, t.sha256, t.name, tenants, t.expires, t.uses, t.uses_left, t.created_by, t.created_at).run();
  }
}

std::vector<model::JoinToken> read_join_tokens(Database& database) {
  auto rows = database.cached(
      "SELECT id, sha256, name, tenants, expires, uses, uses_left, created_by, created_at FROM join_token ORDER BY id");
  std::vector<model::JoinToken> tokens;
  while (rows.step()) {
    Columns row(rows);
    auto& t = tokens.emplace_back();
    t.id = row.uuid();
    t.sha256 = row.text();
    t.name = row.text();
    t.tenants = names_from(row.text());
    t.expires = row.integer();
    t.uses = int(row.integer());
    t.uses_left = int(row.integer());
    t.created_by = row.text();
    t.created_at = row.integer();
  }
  return tokens;
}

void put_enrolments(Database& database, const std::vector<model::Enrolment>& enrolments) {
  if (enrolments.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO enrolment VALUES(?,?,?,?,?,?,?,?,?,?,?)");
  for (const auto& e : enrolments) {
    const auto tenants = e.tenants ? std::optional(names_text(*e.tenants)) : std::nullopt;
    put.bind(e.id, e.name, tenants, e.secret_sha256, e.earlier_sha256, e.earlier_until, e.secret_since, e.join_token,
             e.joining, e.change, e.enrolled_at)
        .run();
  }
}

std::vector<model::Enrolment> read_enrolments(Database& database) {
  auto rows = database.cached(
      "SELECT id, name, tenants, secret_sha256, earlier_sha256, earlier_until, secret_since, join_token, joining,"
      " change, enrolled_at FROM enrolment ORDER BY id");
  std::vector<model::Enrolment> enrolments;
  while (rows.step()) {
    Columns row(rows);
    auto& e = enrolments.emplace_back();
    e.id = row.uuid();
    e.name = row.text();
    if (const auto tenants = row.maybe<std::string>()) e.tenants = names_from(*tenants);
    e.secret_sha256 = row.text();
    e.earlier_sha256 = row.text();
    e.earlier_until = row.integer();
    e.secret_since = row.integer();
    e.join_token = row.uuid();
    e.joining = row.text();
    e.change = row.integer();
    e.enrolled_at = row.integer();
  }
  return enrolments;
}

}  // namespace geres::hub::store::sqlite
