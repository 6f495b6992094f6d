// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/small_rows.h"

#include <map>

#include "hub/store/sqlite/json_columns.h"

namespace geres::hub::store::sqlite {
namespace {

// An absent list and an empty one are two things: NULL and [].
std::optional<std::string> names_or_null(const std::optional<std::vector<std::string>>& names) {
  return names ? std::optional(names_text(*names)) : std::nullopt;
}

std::optional<std::vector<std::string>> maybe_names(const std::optional<std::string>& text) {
  return text ? std::optional(names_from(*text)) : std::nullopt;
}

}  // namespace

void put_tenants(Database& database, const std::vector<model::Tenant>& tenants) {
  if (tenants.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO tenant VALUES(?,?,?,?,?,?,?)");
  for (const auto& t : tenants)
    put.bind(t.name, t.weight, t.max_running, t.max_queued, t.keep_finished, t.keep_failed, t.max_memory_per_job).run();
}

std::vector<model::Tenant> read_tenants(Database& database) {
  auto rows = database.cached(
      "SELECT name, weight, max_running, max_queued, keep_finished, keep_failed, max_memory_per_job FROM tenant ORDER "
      "BY name");
  std::vector<model::Tenant> tenants;
  while (rows.step()) {
    Columns row(rows);
    auto& t = tenants.emplace_back();
    t.name = row.text();
    t.weight = row.real();
    t.max_running = int(row.integer());
    t.max_queued = row.integer();
    t.keep_finished = row.maybe<Millis>();
    t.keep_failed = row.maybe<Millis>();
    t.max_memory_per_job = row.integer();
  }
  return tenants;
}

void put_batches(Database& database, const std::vector<model::Batch>& batches) {
  if (batches.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO batch VALUES(?,?,?,?,?,?,?,?,?,?,?)");
  for (const auto& b : batches)
    put.bind(b.id, b.tenant, b.name, b.priority, b.dedicated, b.max_running, b.state, b.paused, b.created_at,
             b.created_by, b.over_tenants)
        .run();
}

model::Batch read_batch(const Statement& rows) {
  Columns row(rows);
  model::Batch b;
  b.id = row.uuid();
  b.tenant = row.text();
  b.name = row.text();
  b.priority = row.integer();
  b.dedicated = row.flag();
  b.max_running = int(row.integer());
  b.state = row.as<model::BatchState>();
  b.paused = row.flag();
  b.created_at = row.integer();
  b.created_by = row.text();
  b.over_tenants = row.flag();
  return b;
}

std::vector<model::Batch> read_batches(Database& database) {
  auto rows = database.cached("SELECT " GERES_BATCH_COLUMNS " FROM batch ORDER BY id");
  std::vector<model::Batch> batches;
  while (rows.step()) batches.push_back(read_batch(rows));
  return batches;
}

void insert_lanes(Database& database, const std::vector<LaneRow>& lanes) {
  if (lanes.empty()) return;
  auto put = database.cached("INSERT INTO lane VALUES(?,?,?,?,?,?,?,?,?,?)");
  for (const auto& [no, key, duration] : lanes) {
    const std::string requirements = requirements_text(key.requirements);
    put.bind(no, key.batch, key.tenant, key.type, key.packaged, requirements, OrNull{key.avoid}, duration.ms,
             duration.ends, duration.p90_ms)
        .run();
  }
}

void put_lane_durations(Database& database, const std::vector<LaneDuration>& durations) {
  if (durations.empty()) return;
  auto put = database.cached("UPDATE lane SET mean_duration=?, ends=?, p90_duration=? WHERE no=?");
  for (const auto& [no, duration] : durations) put.bind(duration.ms, duration.ends, duration.p90_ms, no).run();
}

std::vector<LaneRow> read_lanes(Database& database) {
  auto rows = database.cached(
      "SELECT no, batch, tenant, type, packaged, requirements, avoid, mean_duration, ends, p90_duration FROM lane "
      "ORDER BY no");
  std::vector<LaneRow> lanes;
  while (rows.step()) {
    Columns row(rows);
    auto& lane = lanes.emplace_back();
    lane.no = row.integer();
    lane.key.batch = row.uuid();
    lane.key.tenant = row.text();
    lane.key.type = row.text();
    lane.key.packaged = row.flag();
    lane.key.requirements = requirements_from(row.text());
    lane.key.avoid = row.text();
    lane.duration.ms = row.real();
    lane.duration.ends = row.integer();
    lane.duration.p90_ms = row.real();
  }
  return lanes;
}

void put_hosts(Database& database, const std::vector<model::Host>& hosts) {
  if (hosts.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO host VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  for (const auto& h : hosts) {
    const std::string labels = tags_text(h.labels);
    const auto types = names_or_null(h.types), tenants = names_or_null(h.tenants);
    put.bind(h.id, h.name, h.secret_sha256, h.address, h.slots, h.memory, labels, types, tenants, h.packages,
             h.containment, h.mode, h.joined_at, h.isolation, h.memory_held, h.processes_held, h.pool, h.instance,
             h.mode_by, h.mode_reason, h.enrolment ? std::optional(h.enrolment) : std::nullopt)
        .run();
  }
}

#define GERES_HOST_COLUMNS                                                                                \
  "id, name, secret_sha256, address, slots, memory, labels, types, tenants, packages, containment, mode," \
  " joined_at, isolation, memory_held, processes_held, pool, instance, mode_by, mode_reason, enrolment"

static model::Host host_of(Statement& rows) {
  Columns row(rows);
  model::Host h;
  h.id = row.uuid();
  h.name = row.text();
  h.secret_sha256 = row.text();
  h.address = row.text();
  h.slots = int(row.integer());
  h.memory = row.integer();
  h.labels = tags_from(row.text());
  h.types = maybe_names(row.maybe<std::string>());
  h.tenants = maybe_names(row.maybe<std::string>());
  h.packages = row.flag();
  h.containment = row.text();
  h.mode = row.as<model::HostMode>();
  h.joined_at = row.integer();
  h.isolation = row.text();
  h.memory_held = row.text();
  h.processes_held = row.text();
  h.pool = row.text();
  h.instance = row.text();
  h.mode_by = row.as<model::ModeBy>();
  h.mode_reason = row.text();
  h.enrolment = row.maybe<Uuid>().value_or(Uuid{});
  return h;
}

void put_host_drains(Database& database, const std::vector<HostDrain>& drains) {
  if (drains.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO host_drain VALUES(?,?,?)");
  for (const auto& drain : drains) {
    const std::string tenants = drain.tenants ? names_text(*drain.tenants) : std::string();
    put.bind(drain.name, tenants, drain.at).run();
  }
}

void remove_host_drains(Database& database, const std::vector<HostDrain>& drains) {
  if (drains.empty()) return;
  auto remove = database.cached("DELETE FROM host_drain WHERE name=? AND tenants=?");
  for (const auto& drain : drains) {
    const std::string tenants = drain.tenants ? names_text(*drain.tenants) : std::string();
    remove.bind(drain.name, tenants).run();
  }
}

std::vector<HostDrain> read_host_drains(Database& database) {
  auto rows = database.cached("SELECT name, tenants, at FROM host_drain ORDER BY name, tenants");
  std::vector<HostDrain> drains;
  while (rows.step()) {
    Columns row(rows);
    auto& drain = drains.emplace_back();
    drain.name = row.text();
    if (const auto tenants = row.text(); !tenants.empty()) drain.tenants = names_from(tenants);
    drain.at = row.integer();
  }
  return drains;
}

std::vector<model::Host> read_hosts(Database& database) {
  auto rows = database.cached("SELECT " GERES_HOST_COLUMNS " FROM host ORDER BY id");
  std::vector<model::Host> hosts;
  while (rows.step()) hosts.push_back(host_of(rows));
  return hosts;
}

std::optional<model::Host> read_host(Database& database, Uuid id) {
  auto rows = database.cached("SELECT " GERES_HOST_COLUMNS " FROM host WHERE id=?");
  if (!rows.bind(id).step()) return std::nullopt;
  return host_of(rows);
}

void put_packages(Database& database, const std::vector<model::PackageVersion>& packages) {
  if (packages.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO package VALUES(?,?,?,?,?,?,?,?)");
  for (const auto& p : packages) {
    const std::string digest = digest_bytes(p.sha256), types = names_text(p.types);
    put.bind(p.tenant, p.name, Blob{digest}, p.size, p.version, types, p.open, p.created_at).run();
  }
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
  auto rows = database.cached(
      "SELECT tenant, name, sha256, size, version, types, open, created_at FROM package"
      " ORDER BY tenant, name, version");
  std::vector<model::PackageVersion> packages;
  while (rows.step()) {
    Columns row(rows);
    auto& p = packages.emplace_back();
    p.tenant = row.text();
    p.name = row.text();
    p.sha256 = digest_hex(row.text());
    p.size = row.integer();
    p.version = int(row.integer());
    p.types = names_from(row.text());
    p.open = row.flag();
    p.created_at = row.integer();
  }
  return packages;
}

void put_tokens(Database& database, const std::vector<model::Token>& tokens) {
  if (tokens.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO token VALUES(?,?,?,?,?,?,?)");
  for (const auto& t : tokens) {
    const std::string roles = roles_text(t.roles), tenants = names_text(t.tenants);
    put.bind(t.id, t.name, t.sha256, roles, tenants, t.expires, t.created_at).run();
  }
}

bool token_named(Database& database, const std::string& name, const std::vector<std::string>& tenants, Millis now) {
  const std::string set = names_text(tenants);
  return database.cached("SELECT 1 FROM token WHERE name=? AND tenants=? AND (expires IS NULL OR expires > ?)")
      .bind(name, set, now)
      .step();
}

std::vector<model::Token> read_tokens(Database& database) {
  auto rows = database.cached("SELECT id, name, sha256, roles, tenants, expires, created_at FROM token ORDER BY id");
  std::vector<model::Token> tokens;
  while (rows.step()) {
    Columns row(rows);
    auto& t = tokens.emplace_back();
    t.id = row.uuid();
    t.name = row.text();
    t.sha256 = row.text();
    t.roles = roles_from(row.text());
    t.tenants = names_from(row.text());
    t.expires = row.maybe<Millis>();
    t.created_at = row.integer();
  }
  return tokens;
}

void put_operations(Database& database, const std::vector<OperationRow>& operations) {
  if (operations.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO operation VALUES(?,?,?,?,?,?,?,?)");
  for (const auto& o : operations) {
    const std::string filter = filter_text(o.filter);
    put.bind(o.id, o.kind, filter, o.cursor, o.bound, o.done, o.grace, o.text).run();
  }
}

void put_cursors(Database& database, const std::vector<CursorRow>& cursors) {
  if (cursors.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO cursor VALUES(?,?,?)");
  for (const auto& c : cursors) put.bind(c.name, c.log, c.at).run();
}

std::optional<CursorRow> find_cursor(Database& database, const std::string& name) {
  auto rows = database.cached("SELECT log, at FROM cursor WHERE name=?");
  if (!rows.bind(name).step()) return std::nullopt;
  Columns row(rows);
  CursorRow cursor;
  cursor.name = name;
  cursor.log = row.text();
  cursor.at = row.integer();
  return cursor;
}

std::vector<OperationRow> read_operations(Database& database) {
  auto rows = database.cached("SELECT id, kind, filter, cursor, bound, done, grace, text FROM operation ORDER BY id");
  std::vector<OperationRow> operations;
  while (rows.step()) {
    Columns row(rows);
    auto& o = operations.emplace_back();
    o.id = row.uuid();
    o.kind = row.as<OperationKind>();
    o.filter = filter_from(row.text());
    o.cursor = row.integer();
    o.bound = row.integer();
    o.done = row.integer();
    o.grace = row.integer();
    o.text = row.text();
  }
  return operations;
}

void insert_list_keys(Database& database, const std::vector<ListKeyRow>& keys) {
  if (keys.empty()) return;
  auto insert = database.cached("INSERT INTO list_key(scope, key, digest, at, ids) VALUES(?,?,?,?,?)");
  for (const auto& k : keys) {
    std::string ids;
    ids.reserve(k.ids.size() * 16);
    for (const Uuid id : k.ids) ids += uuid_bytes(id);
    insert.bind(k.scope, k.key, k.digest, k.at, Blob{ids}).run();
  }
}

std::optional<ListKeyRow> find_list_key(Database& database, const std::string& scope, const std::string& key) {
  auto find = database.cached("SELECT digest, at, ids FROM list_key WHERE scope=? AND key=?");
  if (!find.bind(scope, key).step()) return std::nullopt;
  Columns row(find);
  ListKeyRow found{scope, key, {}, {}, 0};
  found.digest = row.text();
  found.at = row.integer();
  found.ids = uuids_from(row.text());
  return found;
}

void add_counts(Database& database, const std::vector<CountDelta>& deltas) {
  if (deltas.empty()) return;
  std::map<std::pair<Uuid, std::string_view>, model::StateCounts> sums;
  auto last = sums.end();  // neighbours are often of one batch and tenant
  for (const auto& delta : deltas) {
    if (last == sums.end() || last->first.first != delta.batch || last->first.second != delta.tenant)
      last = sums.try_emplace({delta.batch, delta.tenant}).first;
    last->second[std::size_t(delta.state)] += delta.by;
  }
  auto add = database.cached(
      "INSERT INTO batch_count VALUES(?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET s0=s0+excluded.s0,"
      " s1=s1+excluded.s1, s2=s2+excluded.s2, s3=s3+excluded.s3, s4=s4+excluded.s4, s5=s5+excluded.s5,"
      " s6=s6+excluded.s6, s7=s7+excluded.s7");
  for (const auto& [key, n] : sums)
    add.bind(key.first, key.second, n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7]).run();
}

void add_dead_letters(Database& database, const std::vector<DeadLetterDelta>& deltas) {
  if (deltas.empty()) return;
  std::map<std::pair<std::string_view, model::Reason>, std::int64_t> sums;
  for (const auto& delta : deltas) sums[{delta.tenant, delta.reason}] += delta.by;
  auto add = database.cached("INSERT INTO dead_letter VALUES(?,?,?) ON CONFLICT DO UPDATE SET n=n+excluded.n");
  for (const auto& [key, n] : sums)
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
