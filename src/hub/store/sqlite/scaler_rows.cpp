// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/scaler_rows.h"

#include <limits>

#include "base/json.h"
#include "hub/store/sqlite/json_columns.h"

namespace geres::hub::store::sqlite {
namespace {

// Members of a later version are ignored, those that are missing are as usual.
model::PoolSettings settings_from(std::string_view text) {
  auto settings = json::read_text<model::PoolSettings>(text, json::Unknown::ignored);
  if (!settings) throw StoreFailed(Failure::fatal, "the store holds a pool that cannot be read");
  return std::move(*settings);
}

#define GERES_POOL_COLUMNS "name, version, settings, paused, removing, scale_wanted, scale_until"

model::Pool pool_of(const Statement& rows) {
  Columns row(rows);
  model::Pool pool;
  pool.name = row.text();
  pool.version = row.integer();
  pool.settings = settings_from(row.text());
  pool.paused = row.flag();
  pool.removing = row.flag();
  const auto wanted = row.maybe<std::int64_t>(), until = row.maybe<std::int64_t>();
  if (wanted && until) pool.scale = model::Pool::Scale{*wanted, *until};
  return pool;
}

#define GERES_MACHINE_COLUMNS "pool, instance, state, request, zone, ordered_at, ready_at, gone_at, reason"

MachineRow machine_of(const Statement& rows) {
  Columns row(rows);
  MachineRow machine;
  machine.pool = row.text();
  machine.instance = row.text();
  machine.state = row.as<model::MachineState>();
  machine.request = row.text();
  machine.zone = row.text();
  machine.ordered_at = row.integer();
  machine.ready_at = row.maybe<Millis>();
  machine.gone_at = row.maybe<Millis>();
  machine.reason = row.text();
  return machine;
}

#define GERES_INTENT_COLUMNS "request, pool, verb, count, instances, state, refusal, issued_at"

IntentRow intent_of(const Statement& rows) {
  Columns row(rows);
  IntentRow intent;
  intent.request = row.text();
  intent.pool = row.text();
  intent.verb = row.as<model::ScalerVerb>();
  intent.count = row.integer();
  intent.instances = names_from(row.text());
  intent.state = row.as<model::IntentState>();
  intent.refusal = row.text();
  intent.issued_at = row.integer();
  return intent;
}

#define GERES_DECISION_COLUMNS \
  "id, pool, at, last_at, times, input, policy, raw, wanted, actual, changes, reason, outcome"

DecisionRow decision_of(const Statement& rows) {
  Columns row(rows);
  DecisionRow decision;
  decision.id = row.integer();
  decision.pool = row.text();
  decision.at = row.integer();
  decision.last_at = row.integer();
  decision.times = row.integer();
  decision.input = row.text();
  decision.policy = row.text();
  decision.raw = row.integer();
  decision.wanted = row.integer();
  decision.actual = row.integer();
  decision.changes = row.text();
  decision.reason = row.text();
  decision.outcome = row.text();
  return decision;
}

}  // namespace

// ---- writing --------------------------------------------------------------------------------------------------------

void put_pools(Database& database, const std::vector<model::Pool>& pools) {
  if (pools.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO pool VALUES(?,?,?,?,?,?,?)");
  for (const auto& p : pools) {
    const std::string settings = json::write_text(p.settings);
    const auto wanted = p.scale ? std::optional(p.scale->wanted) : std::nullopt;
    const auto until = p.scale ? std::optional(p.scale->until) : std::nullopt;
    put.bind(p.name, p.version, settings, p.paused, p.removing, wanted, until).run();
  }
}

void put_machines(Database& database, const std::vector<MachineRow>& machines) {
  if (machines.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO machine VALUES(?,?,?,?,?,?,?,?,?)");
  for (const auto& m : machines)
    put.bind(m.pool, m.instance, m.state, OrNull{m.request}, OrNull{m.zone}, m.ordered_at, m.ready_at, m.gone_at,
             OrNull{m.reason})
        .run();
}

void put_intents(Database& database, const std::vector<IntentRow>& intents) {
  if (intents.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO scaler_intent VALUES(?,?,?,?,?,?,?,?)");
  for (const auto& i : intents) {
    const std::string instances = names_text(i.instances);
    put.bind(i.request, i.pool, i.verb, i.count, instances, i.state, OrNull{i.refusal}, i.issued_at).run();
  }
}

void put_decisions(Database& database, const std::vector<DecisionRow>& decisions) {
  if (decisions.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO scaler_decision VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)");
  for (const auto& d : decisions)
    put.bind(d.id, d.pool, d.at, d.last_at, d.times, d.input, d.policy, d.raw, d.wanted, d.actual, OrNull{d.changes},
             OrNull{d.reason}, OrNull{d.outcome})
        .run();
}

void put_load_samples(Database& database, const std::vector<LoadSample>& samples) {
  if (samples.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO load_sample VALUES(?,?,?,?,?,?,?,?,?)");
  for (const auto& [pool, at, ready, ready_slots, running, running_slots, arrived, hosts, booting] : samples)
    put.bind(pool, at, ready, ready_slots, running, running_slots, arrived, hosts, booting).run();
}

void put_scaler(Database& database, const ScalerRow& scaler) {
  database.cached("INSERT OR REPLACE INTO scaler VALUES(1,?,?)").bind(scaler.holder, scaler.epoch).run();
}

// ---- reading --------------------------------------------------------------------------------------------------------

std::vector<model::Pool> read_pools(Database& database) {
  auto rows = database.cached("SELECT " GERES_POOL_COLUMNS " FROM pool ORDER BY name");
  std::vector<model::Pool> pools;
  while (rows.step()) pools.push_back(pool_of(rows));
  return pools;
}

std::optional<model::Pool> find_pool(Database& database, const std::string& name) {
  auto rows = database.cached("SELECT " GERES_POOL_COLUMNS " FROM pool WHERE name=?");
  if (!rows.bind(name).step()) return std::nullopt;
  return pool_of(rows);
}

std::vector<MachineRow> live_machines(Database& database) {
  auto rows = database.cached("SELECT " GERES_MACHINE_COLUMNS " FROM machine WHERE gone_at IS NULL");
  std::vector<MachineRow> machines;
  while (rows.step()) machines.push_back(machine_of(rows));
  return machines;
}

std::vector<MachineRow> read_machines(Database& database, const std::string& pool, bool gone,
                                      const std::pair<std::string, std::string>& after, std::size_t max) {
  auto rows = database.cached("SELECT " GERES_MACHINE_COLUMNS
                              " FROM machine WHERE (pool, instance) > (?1, ?2) AND (?3 = '' OR pool = ?3)"
                              " AND (?4 OR gone_at IS NULL) ORDER BY pool, instance LIMIT ?5");
  rows.bind(after.first, after.second, pool, gone, max);
  std::vector<MachineRow> machines;
  while (rows.step()) machines.push_back(machine_of(rows));
  return machines;
}

std::optional<MachineRow> find_machine(Database& database, const std::string& pool, const std::string& instance) {
  auto rows = database.cached("SELECT " GERES_MACHINE_COLUMNS " FROM machine WHERE pool=? AND instance=?");
  if (!rows.bind(pool, instance).step()) return std::nullopt;
  return machine_of(rows);
}

std::optional<IntentRow> find_intent(Database& database, const std::string& request) {
  auto rows = database.cached("SELECT " GERES_INTENT_COLUMNS " FROM scaler_intent WHERE request=?");
  if (!rows.bind(request).step()) return std::nullopt;
  return intent_of(rows);
}

std::vector<IntentRow> open_intents(Database& database, const std::string& pool) {
  auto rows = database.cached("SELECT " GERES_INTENT_COLUMNS
                              " FROM scaler_intent WHERE (?1 = '' OR pool = ?1) AND state IN (0, 4)"
                              " ORDER BY issued_at, request");
  rows.bind(pool);
  std::vector<IntentRow> intents;
  while (rows.step()) intents.push_back(intent_of(rows));
  return intents;
}

std::optional<DecisionRow> last_decision(Database& database, const std::string& pool) {
  auto rows =
      database.cached("SELECT " GERES_DECISION_COLUMNS " FROM scaler_decision WHERE pool=? ORDER BY id DESC LIMIT 1");
  if (!rows.bind(pool).step()) return std::nullopt;
  return decision_of(rows);
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
  std::vector<DecisionRow> decisions;
  while (rows.step()) decisions.push_back(decision_of(rows));
  return decisions;
}

std::vector<LoadSample> read_load_samples(Database& database, const std::string& pool, Millis from, Millis to,
                                          std::size_t max) {
  auto rows = database.cached(
      "SELECT pool, at, ready, ready_slots, running, running_slots, arrived, hosts, booting FROM load_sample"
      " WHERE pool = ?1 AND at >= coalesce((SELECT max(at) FROM load_sample WHERE pool = ?1 AND at <= ?2), ?2) AND at "
      "< ?3 ORDER BY at LIMIT ?4");
  rows.bind(pool, from, to, max);
  std::vector<LoadSample> samples;
  while (rows.step()) {
    Columns row(rows);
    auto& sample = samples.emplace_back();
    sample.pool = row.text();
    for (auto* figure : {&sample.at, &sample.ready, &sample.ready_slots, &sample.running, &sample.running_slots,
                         &sample.arrived, &sample.hosts, &sample.booting})
      *figure = row.integer();
  }
  return samples;
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
