// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/small_rows.h"

#include "hub/store/derived.h"
#include "hub/store/shapes/small.h"

namespace geres::hub::store::sqlite {
namespace {

// Writes each row as its shape has it.
}  // namespace

void put_tenants(Database& database, const std::vector<model::Tenant>& tenants) {
  put_each(database, "INSERT OR REPLACE INTO tenant VALUES(?,?,?,?,?,?,?)", tenants,
           [](const auto& row, auto put) { shapes::tenant_columns(row, put); });
}

std::vector<model::Tenant> read_tenants(Database& database) {
  return all(
      database.cached("SELECT name, weight, max_running, max_queued, keep_finished, keep_failed, max_memory_per_job"
                      " FROM tenant ORDER BY name"),
      [](Columns row) { return shapes::read_tenant(row); });
}

void put_batches(Database& database, const std::vector<model::Batch>& batches) {
  put_each(database, "INSERT OR REPLACE INTO batch VALUES(?,?,?,?,?,?,?,?,?,?,?)", batches,
           [](const auto& row, auto put) { shapes::batch_columns(row, put); });
}

model::Batch read_batch(const Statement& rows) {
  return shapes::read_batch(Columns(rows));
}

std::vector<model::Batch> read_batches(Database& database) {
  return all(database.cached("SELECT " GERES_BATCH_COLUMNS " FROM batch ORDER BY id"),
             [](Columns row) { return shapes::read_batch(row); });
}

void insert_lanes(Database& database, const std::vector<LaneRow>& lanes) {
  put_each(database, "INSERT INTO lane VALUES(?,?,?,?,?,?,?,?,?,?)", lanes,
           [](const auto& row, auto put) { shapes::lane_columns(row, put); });
}

void put_lane_durations(Database& database, const std::vector<LaneDuration>& durations) {
  if (durations.empty()) return;
  auto put = database.cached("UPDATE lane SET mean_duration=?, ends=?, p90_duration=? WHERE no=?");
  for (const auto& [no, duration] : durations) put.bind(duration.ms, duration.ends, duration.p90_ms, no).run();
}

std::vector<LaneRow> read_lanes(Database& database) {
  return all(database.cached("SELECT no, batch, tenant, type, packaged, requirements, avoid, mean_duration, ends,"
                             " p90_duration FROM lane ORDER BY no"),
             [](Columns row) { return shapes::read_lane(row); });
}

void put_hosts(Database& database, const std::vector<model::Host>& hosts) {
  put_each(database, "INSERT OR REPLACE INTO host VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", hosts,
           [](const auto& row, auto put) { shapes::host_columns(row, put); });
}

#define GERES_HOST_COLUMNS                                                                                \
  "id, name, secret_sha256, address, slots, memory, labels, types, tenants, packages, containment, mode," \
  " joined_at, isolation, memory_held, processes_held, pool, instance, mode_by, mode_reason, enrolment"

void put_host_drains(Database& database, const std::vector<HostDrain>& drains) {
  put_each(database, "INSERT OR REPLACE INTO host_drain VALUES(?,?,?)", drains,
           [](const auto& row, auto put) { shapes::host_drain_columns(row, put); });
}

void remove_host_drains(Database& database, const std::vector<HostDrain>& drains) {
  if (drains.empty()) return;
  auto remove = database.cached("DELETE FROM host_drain WHERE name=? AND tenants=?");
  for (const auto& drain : drains) {
    const std::string tenants = shapes::drained_tenants(drain);
    remove.bind(drain.name, tenants).run();
  }
}

std::vector<HostDrain> read_host_drains(Database& database) {
  return all(database.cached("SELECT name, tenants, at FROM host_drain ORDER BY name, tenants"),
             [](Columns row) { return shapes::read_host_drain(row); });
}

std::vector<model::Host> read_hosts(Database& database) {
  return all(database.cached("SELECT " GERES_HOST_COLUMNS " FROM host ORDER BY id"),
             [](Columns row) { return shapes::read_host(row); });
}

std::optional<model::Host> read_host(Database& database, Uuid id) {
  auto rows = database.cached("SELECT " GERES_HOST_COLUMNS " FROM host WHERE id=?");
  if (!rows.bind(id).step()) return std::nullopt;
  return shapes::read_host(Columns(rows));
}

void put_packages(Database& database, const std::vector<model::PackageVersion>& packages) {
  put_each(database, "INSERT OR REPLACE INTO package VALUES(?,?,?,?,?,?,?,?)", packages,
           [](const auto& row, auto put) { shapes::package_columns(row, put); });
}

void remove_packages(Database& database, const std::vector<model::PackageVersion>& packages) {
  if (packages.empty()) return;
  auto remove = database.cached("DELETE FROM package WHERE tenant=? AND name=? AND sha256=?");
  for (const auto& p : packages) {
    const std::string digest = digest_bytes(p.sha256);
    remove.bind(p.tenant, p.name, Blob{digest}).run();
  }
}

std::vector<model::PackageVersion> read_packages(Database& database) {
  return all(database.cached("SELECT tenant, name, sha256, size, version, types, open, created_at FROM package"
                             " ORDER BY tenant, name, version"),
             [](Columns row) { return shapes::read_package(row); });
}

void put_tokens(Database& database, const std::vector<model::Token>& tokens) {
  put_each(database, "INSERT OR REPLACE INTO token VALUES(?,?,?,?,?,?,?)", tokens,
           [](const auto& row, auto put) { shapes::token_columns(row, put); });
}

bool token_named(Database& database, const std::string& name, const std::vector<std::string>& tenants, Millis now) {
  const std::string set = names_text(tenants);
  return database.cached("SELECT 1 FROM token WHERE name=? AND tenants=? AND (expires IS NULL OR expires > ?)")
      .bind(name, set, now)
      .step();
}

std::vector<model::Token> read_tokens(Database& database) {
  return all(database.cached("SELECT id, name, sha256, roles, tenants, expires, created_at FROM token ORDER BY id"),
             [](Columns row) { return shapes::read_token(row); });
}

void put_operations(Database& database, const std::vector<OperationRow>& operations) {
  put_each(database, "INSERT OR REPLACE INTO operation VALUES(?,?,?,?,?,?,?,?)", operations,
           [](const auto& row, auto put) { shapes::operation_columns(row, put); });
}

void put_cursors(Database& database, const std::vector<CursorRow>& cursors) {
  put_each(database, "INSERT OR REPLACE INTO cursor VALUES(?,?,?)", cursors,
           [](const auto& row, auto put) { shapes::cursor_columns(row, put); });
}

std::optional<CursorRow> find_cursor(Database& database, const std::string& name) {
  auto rows = database.cached("SELECT name, log, at FROM cursor WHERE name=?");
  if (!rows.bind(name).step()) return std::nullopt;
  return shapes::read_cursor(Columns(rows));
}

std::vector<OperationRow> read_operations(Database& database) {
  return all(database.cached("SELECT id, kind, filter, cursor, bound, done, grace, text FROM operation ORDER BY id"),
             [](Columns row) { return shapes::read_operation(row); });
}

void insert_list_keys(Database& database, const std::vector<ListKeyRow>& keys) {
  put_each(database, "INSERT INTO list_key(scope, key, digest, at, ids) VALUES(?,?,?,?,?)", keys,
           [](const auto& row, auto put) { shapes::list_key_columns(row, put); });
}

std::optional<ListKeyRow> find_list_key(Database& database, const std::string& scope, const std::string& key) {
  auto find = database.cached("SELECT scope, key, digest, at, ids FROM list_key WHERE scope=? AND key=?");
  if (!find.bind(scope, key).step()) return std::nullopt;
  return shapes::read_list_key(Columns(find));
}

void add_counts(Database& database, const std::vector<CountDelta>& deltas) {
  if (deltas.empty()) return;
  auto add = database.cached(
      "INSERT INTO batch_count VALUES(?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET s0=s0+excluded.s0,"
      " s1=s1+excluded.s1, s2=s2+excluded.s2, s3=s3+excluded.s3, s4=s4+excluded.s4, s5=s5+excluded.s5,"
      " s6=s6+excluded.s6, s7=s7+excluded.s7");
  for (const auto& [key, n] : summed(deltas))
    add.bind(key.first, key.second, n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7]).run();
}

void add_dead_letters(Database& database, const std::vector<DeadLetterDelta>& deltas) {
  if (deltas.empty()) return;
  auto add = database.cached("INSERT INTO dead_letter VALUES(?,?,?) ON CONFLICT DO UPDATE SET n=n+excluded.n");
  for (const auto& [key, n] : summed(deltas))
    if (n != 0) add.bind(key.first, key.second, n).run();
}

std::vector<BatchCounts> read_counts(Database& database) {
  auto rows = database.cached("SELECT batch, tenant, s0, s1, s2, s3, s4, s5, s6, s7 FROM batch_count");
  std::vector<BatchCounts> counts;
  while (rows.step()) {
    Columns row(rows);
    auto& c = counts.emplace_back();
    c.batch = row.uuid();
    c.tenant = row.text();
    for (auto& n : c.counts) n = row.integer();
  }
  return counts;
}

}  // namespace geres::hub::store::sqlite
