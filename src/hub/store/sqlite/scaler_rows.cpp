// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/scaler_rows.h"

#include <limits>

#include "hub/store/shapes/scaler.h"

namespace geres::hub::store::sqlite {
namespace {

#define GERES_POOL_COLUMNS "name, version, settings, paused, removing, scale_wanted, scale_until"

#define GERES_MACHINE_COLUMNS "pool, instance, state, request, zone, ordered_at, ready_at, gone_at, reason"

#define GERES_INTENT_COLUMNS "request, pool, verb, count, instances, state, refusal, issued_at"

#define GERES_DECISION_COLUMNS \
  "id, pool, at, last_at, times, input, policy, raw, wanted, actual, changes, reason, outcome"

}  // namespace

// ---- writing --------------------------------------------------------------------------------------------------------

void put_pools(Database& database, const std::vector<model::Pool>& pools) {
  put_each(database, "INSERT OR REPLACE INTO pool VALUES(?,?,?,?,?,?,?)", pools,
           [](const auto& row, auto put) { shapes::pool_columns(row, put); });
}

void put_machines(Database& database, const std::vector<MachineRow>& machines) {
  put_each(database, "INSERT OR REPLACE INTO machine VALUES(?,?,?,?,?,?,?,?,?)", machines,
           [](const auto& row, auto put) { shapes::machine_columns(row, put); });
}

void put_intents(Database& database, const std::vector<IntentRow>& intents) {
  put_each(database, "INSERT OR REPLACE INTO scaler_intent VALUES(?,?,?,?,?,?,?,?)", intents,
           [](const auto& row, auto put) { shapes::intent_columns(row, put); });
}

void put_decisions(Database& database, const std::vector<DecisionRow>& decisions) {
  put_each(database, "INSERT OR REPLACE INTO scaler_decision VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)", decisions,
           [](const auto& row, auto put) { shapes::decision_columns(row, put); });
}

void put_load_samples(Database& database, const std::vector<LoadSample>& samples) {
  put_each(database, "INSERT OR REPLACE INTO load_sample VALUES(?,?,?,?,?,?,?,?,?)", samples,
           [](const auto& row, auto put) { shapes::load_sample_columns(row, put); });
}

void put_scaler(Database& database, const ScalerRow& scaler) {
  database.cached("INSERT OR REPLACE INTO scaler VALUES(1,?,?)").bind(scaler.holder, scaler.epoch).run();
}

// ---- reading --------------------------------------------------------------------------------------------------------

std::vector<model::Pool> read_pools(Database& database) {
  auto rows = database.cached("SELECT " GERES_POOL_COLUMNS " FROM pool ORDER BY name");
  return all(std::move(rows), [](Columns row) { return shapes::read_pool(row); });
}

std::optional<model::Pool> find_pool(Database& database, const std::string& name) {
  auto rows = database.cached("SELECT " GERES_POOL_COLUMNS " FROM pool WHERE name=?");
  if (!rows.bind(name).step()) return std::nullopt;
  return shapes::read_pool(Columns(rows));
}

std::vector<MachineRow> live_machines(Database& database) {
  auto rows = database.cached("SELECT " GERES_MACHINE_COLUMNS " FROM machine WHERE gone_at IS NULL");
  return all(std::move(rows), [](Columns row) { return shapes::read_machine(row); });
}

std::vector<MachineRow> read_machines(Database& database, const std::string& pool, bool gone,
                                      const std::pair<std::string, std::string>& after, std::size_t max) {
  auto rows = database.cached("SELECT " GERES_MACHINE_COLUMNS
                              " FROM machine WHERE (pool, instance) > (?1, ?2) AND (?3 = '' OR pool = ?3)"
                              " AND (?4 OR gone_at IS NULL) ORDER BY pool, instance LIMIT ?5");
  rows.bind(after.first, after.second, pool, gone, max);
  return all(std::move(rows), [](Columns row) { return shapes::read_machine(row); });
}

std::optional<MachineRow> find_machine(Database& database, const std::string& pool, const std::string& instance) {
  auto rows = database.cached("SELECT " GERES_MACHINE_COLUMNS " FROM machine WHERE pool=? AND instance=?");
  if (!rows.bind(pool, instance).step()) return std::nullopt;
  return shapes::read_machine(Columns(rows));
}

std::optional<IntentRow> find_intent(Database& database, const std::string& request) {
  auto rows = database.cached("SELECT " GERES_INTENT_COLUMNS " FROM scaler_intent WHERE request=?");
  if (!rows.bind(request).step()) return std::nullopt;
  return shapes::read_intent(Columns(rows));
}

std::vector<IntentRow> open_intents(Database& database, const std::string& pool) {
  auto rows = database.cached("SELECT " GERES_INTENT_COLUMNS
                              " FROM scaler_intent WHERE (?1 = '' OR pool = ?1) AND state IN (0, 4)"
                              " ORDER BY issued_at, request");
  rows.bind(pool);
  return all(std::move(rows), [](Columns row) { return shapes::read_intent(row); });
}

std::optional<DecisionRow> last_decision(Database& database, const std::string& pool) {
  auto rows =
      database.cached("SELECT " GERES_DECISION_COLUMNS " FROM scaler_decision WHERE pool=? ORDER BY id DESC LIMIT 1");
  if (!rows.bind(pool).step()) return std::nullopt;
  return shapes::read_decision(Columns(rows));
}

std::vector<DecisionRow> read_decisions(Database& database, const DecisionFilter& filter, std::int64_t before,
                                        std::size_t max) {
  constexpr auto kAll = std::numeric_limits<std::int64_t>::max();
  std::string sql =
      "SELECT " GERES_DECISION_COLUMNS " FROM scaler_decision WHERE id < ?1 AND last_at >= ?2 AND at < ?3";
  if (!filter.pool.empty()) sql += " AND pool = ?4";
  if (filter.changed) sql += " AND changes IS NOT NULL";
  auto rows = database.prepare(sql + " ORDER BY id DESC LIMIT ?5");
  rows.bind(before > 0 ? before : kAll, filter.from.value_or(0), filter.to.value_or(kAll), filter.pool, max);
  return all(std::move(rows), [](Columns row) { return shapes::read_decision(row); });
}

std::vector<LoadSample> read_load_samples(Database& database, const std::string& pool, Millis from, Millis to,
                                          std::size_t max) {
  auto rows = database.cached(
      "SELECT pool, at, ready, ready_slots, running, running_slots, arrived, hosts, booting FROM load_sample"
      " WHERE pool = ?1 AND at >= coalesce((SELECT max(at) FROM load_sample WHERE pool = ?1 AND at <= ?2), ?2) AND at "
      "< ?3 ORDER BY at LIMIT ?4");
  rows.bind(pool, from, to, max);
  return all(std::move(rows), [](Columns row) { return shapes::read_load_sample(row); });
}

std::int64_t newest_decision(Database& database) {
  return database.number("SELECT coalesce(max(id), 0) FROM scaler_decision");
}

ScalerRow read_scaler(Database& database) {
  auto rows = database.cached("SELECT holder, epoch FROM scaler");
  ScalerRow scaler;
  if (!rows.step()) return scaler;
  Columns row(rows);
  scaler.holder = row.text();
  scaler.epoch = row.integer();
  return scaler;
}

// ---- forgetting -----------------------------------------------------------------------------------------------------

std::size_t purge_scaler(Database& database, Millis before, std::size_t max) {
  std::size_t gone = 0;
  const auto run = [&](Sql sql) {
    if (gone >= max) return;
    database.cached(sql).bind(before, max - gone).run();
    gone += std::size_t(database.changes());
  };
  run("DELETE FROM machine WHERE (pool, instance) IN"
      " (SELECT pool, instance FROM machine WHERE gone_at IS NOT NULL AND gone_at < ?1 LIMIT ?2)");
  run("DELETE FROM scaler_intent WHERE request IN"
      " (SELECT request FROM scaler_intent WHERE state NOT IN (0, 4) AND issued_at < ?1 LIMIT ?2)");
  run("DELETE FROM load_sample WHERE (pool, at) IN"
      " (SELECT pool, at FROM load_sample WHERE at < ?1 ORDER BY at LIMIT ?2)");
  // In the order of their numbers, so that those which stay are not looked at.
  run("DELETE FROM scaler_decision WHERE id IN (SELECT id FROM (SELECT id, last_at FROM scaler_decision ORDER BY id"
      " LIMIT ?2) WHERE last_at < ?1) AND id < (SELECT max(id) FROM scaler_decision)");
  return gone;
}

}  // namespace geres::hub::store::sqlite
