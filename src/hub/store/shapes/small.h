// SPDX-License-Identifier: Apache-2.0
// The small things as rows, one copy for all stores in SQL databases: `X_columns` hands the values of a row to `put`,
// in the order of the table's columns, and `read_X` reads them in the same order. What is handed over lives until `put`
// returns.
#pragma once

#include "hub/store/columns.h"
#include "hub/store/json_columns.h"
#include "hub/store/rows.h"

namespace geres::hub::store::shapes {

// An absent list and an empty one are two things: NULL and [].
inline std::optional<std::string> names_or_null(const std::optional<std::vector<std::string>>& names) {
  return names ? std::optional(names_text(*names)) : std::nullopt;
}

inline std::optional<std::vector<std::string>> maybe_names(const std::optional<std::string>& text) {
  return text ? std::optional(names_from(*text)) : std::nullopt;
}

template <class Put>
void tenant_columns(const model::Tenant& t, Put&& put) {
  put(t.name, t.weight, t.max_running, t.max_queued, t.keep_finished, t.keep_failed, t.max_memory_per_job);
}

template <class Row>
model::Tenant read_tenant(RowReader<Row> row) {
  model::Tenant t;
  t.name = row.text();
  t.weight = row.real();
  t.max_running = int(row.integer());
  t.max_queued = row.integer();
  t.keep_finished = row.template maybe<Millis>();
  t.keep_failed = row.template maybe<Millis>();
  t.max_memory_per_job = row.integer();
  return t;
}

template <class Put>
void batch_columns(const model::Batch& b, Put&& put) {
  put(b.id, b.tenant, b.name, b.priority, b.dedicated, b.max_running, b.state, b.paused, b.created_at, b.created_by,
      b.over_tenants);
}

template <class Row>
model::Batch read_batch(RowReader<Row> row) {
  model::Batch b;
  b.id = row.uuid();
  b.tenant = row.text();
  b.name = row.text();
  b.priority = row.integer();
  b.dedicated = row.flag();
  b.max_running = int(row.integer());
  b.state = row.template as<model::BatchState>();
  b.paused = row.flag();
  b.created_at = row.integer();
  b.created_by = row.text();
  b.over_tenants = row.flag();
  return b;
}

template <class Put>
void lane_columns(const LaneRow& lane, Put&& put) {
  const auto& [no, key, duration] = lane;
  const std::string requirements = requirements_text(key.requirements);
  put(no, key.batch, key.tenant, key.type, key.packaged, requirements, OrNull{key.avoid}, duration.ms, duration.ends,
      duration.p90_ms);
}

template <class Row>
LaneRow read_lane(RowReader<Row> row) {
  LaneRow lane;
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
  return lane;
}

template <class Put>
void host_columns(const model::Host& h, Put&& put) {
  const std::string labels = tags_text(h.labels);
  const auto types = names_or_null(h.types), tenants = names_or_null(h.tenants);
  put(h.id, h.name, h.secret_sha256, h.address, h.slots, h.memory, labels, types, tenants, h.packages, h.containment,
      h.mode, h.joined_at, h.isolation, h.memory_held, h.processes_held, h.pool, h.instance, h.mode_by, h.mode_reason,
      h.enrolment ? std::optional(h.enrolment) : std::nullopt);
}

template <class Row>
model::Host read_host(RowReader<Row> row) {
  model::Host h;
  h.id = row.uuid();
  h.name = row.text();
  h.secret_sha256 = row.text();
  h.address = row.text();
  h.slots = int(row.integer());
  h.memory = row.integer();
  h.labels = tags_from(row.text());
  h.types = maybe_names(row.template maybe<std::string>());
  h.tenants = maybe_names(row.template maybe<std::string>());
  h.packages = row.flag();
  h.containment = row.text();
  h.mode = row.template as<model::HostMode>();
  h.joined_at = row.integer();
  h.isolation = row.text();
  h.memory_held = row.text();
  h.processes_held = row.text();
  h.pool = row.text();
  h.instance = row.text();
  h.mode_by = row.template as<model::ModeBy>();
  h.mode_reason = row.text();
  h.enrolment = row.template maybe<Uuid>().value_or(Uuid{});
  return h;
}

inline std::string drained_tenants(const HostDrain& drain) {
  return drain.tenants ? names_text(*drain.tenants) : std::string();
}

template <class Put>
void host_drain_columns(const HostDrain& drain, Put&& put) {
  const std::string tenants = drained_tenants(drain);
  put(drain.name, tenants, drain.at);
}

template <class Row>
HostDrain read_host_drain(RowReader<Row> row) {
  HostDrain drain;
  drain.name = row.text();
  if (const auto tenants = row.text(); !tenants.empty()) drain.tenants = names_from(tenants);
  drain.at = row.integer();
  return drain;
}

template <class Put>
void package_columns(const model::PackageVersion& p, Put&& put) {
  const std::string digest = digest_bytes(p.sha256), types = names_text(p.types);
  put(p.tenant, p.name, Blob{digest}, p.size, p.version, types, p.open, p.created_at);
}

template <class Row>
model::PackageVersion read_package(RowReader<Row> row) {
  model::PackageVersion p;
  p.tenant = row.text();
  p.name = row.text();
  p.sha256 = digest_hex(row.text());
  p.size = row.integer();
  p.version = int(row.integer());
  p.types = names_from(row.text());
  p.open = row.flag();
  p.created_at = row.integer();
  return p;
}

template <class Put>
void token_columns(const model::Token& t, Put&& put) {
  const std::string roles = roles_text(t.roles), tenants = names_text(t.tenants);
  put(t.id, t.name, t.sha256, roles, tenants, t.expires, t.created_at);
}

template <class Row>
model::Token read_token(RowReader<Row> row) {
  model::Token t;
  t.id = row.uuid();
  t.name = row.text();
  t.sha256 = row.text();
  t.roles = roles_from(row.text());
  t.tenants = names_from(row.text());
  t.expires = row.template maybe<Millis>();
  t.created_at = row.integer();
  return t;
}

template <class Put>
void operation_columns(const OperationRow& o, Put&& put) {
  const std::string filter = filter_text(o.filter);
  put(o.id, o.kind, filter, o.cursor, o.bound, o.done, o.grace, o.text);
}

template <class Row>
OperationRow read_operation(RowReader<Row> row) {
  OperationRow o;
  o.id = row.uuid();
  o.kind = row.template as<OperationKind>();
  o.filter = filter_from(row.text());
  o.cursor = row.integer();
  o.bound = row.integer();
  o.done = row.integer();
  o.grace = row.integer();
  o.text = row.text();
  return o;
}

template <class Put>
void list_key_columns(const ListKeyRow& k, Put&& put) {
  std::string ids;
  ids.reserve(k.ids.size() * 16);
  for (const Uuid id : k.ids) ids += uuid_bytes(id);
  put(k.scope, k.key, k.digest, k.at, Blob{ids});
}

template <class Row>
ListKeyRow read_list_key(RowReader<Row> row) {
  ListKeyRow k;
  k.scope = row.text();
  k.key = row.text();
  k.digest = row.text();
  k.at = row.integer();
  k.ids = uuids_from(row.text());
  return k;
}

template <class Put>
void cursor_columns(const CursorRow& c, Put&& put) {
  put(c.name, c.log, c.at);
}

template <class Row>
CursorRow read_cursor(RowReader<Row> row) {
  CursorRow cursor;
  cursor.name = row.text();
  cursor.log = row.text();
  cursor.at = row.integer();
  return cursor;
}

template <class Put>
void blob_columns(const BlobRow& blob, Put&& put) {
  const auto& [key, size, state, at] = blob;
  const std::string digest = digest_bytes(key.sha256);
  put(key.tenant, Blob{digest}, size, state, at);
}

template <class Row>
BlobRow read_blob(RowReader<Row> row) {
  BlobRow blob;
  blob.key.tenant = row.text();
  blob.key.sha256 = digest_hex(row.text());
  blob.size = row.integer();
  blob.state = row.template as<BlobState>();
  blob.at = row.integer();
  return blob;
}

template <class Put>
void event_columns(const EventRow& e, Put&& put) {
  const auto batch = e.batch ? std::optional(e.batch) : std::nullopt;
  const std::string data = event_text(e.data);
  put(e.no, e.type, e.subject.seq(), std::int64_t(e.subject.low), OrNull{e.tenant}, batch, e.at, OrNull{data});
}

template <class Row>
EventRow read_event(RowReader<Row> row) {
  EventRow event;
  event.no = row.integer();
  event.type = row.template as<EventType>();
  event.subject.high = std::uint64_t(row.integer());
  event.subject.low = std::uint64_t(row.integer());
  event.tenant = row.text();
  event.batch = row.uuid();
  event.at = row.integer();
  event.data = event_data(event.type, row.text());
  return event;
}

template <class Put>
void join_token_columns(const model::JoinToken& t, Put&& put) {
  const std::string tenants = names_text(t.tenants);
  put(t.id, t.sha256, t.name, tenants, t.expires, t.uses, t.uses_left, t.created_by, t.created_at);
}

template <class Row>
model::JoinToken read_join_token(RowReader<Row> row) {
  model::JoinToken t;
  t.id = row.uuid();
  t.sha256 = row.text();
  t.name = row.text();
  t.tenants = names_from(row.text());
  t.expires = row.integer();
  t.uses = int(row.integer());
  t.uses_left = int(row.integer());
  t.created_by = row.text();
  t.created_at = row.integer();
  return t;
}

template <class Put>
void enrolment_columns(const model::Enrolment& e, Put&& put) {
  const auto tenants = names_or_null(e.tenants);
  put(e.id, e.name, tenants, e.secret_sha256, e.earlier_sha256, e.earlier_until, e.secret_since, e.join_token,
      e.joining, e.change, e.enrolled_at);
}

template <class Row>
model::Enrolment read_enrolment(RowReader<Row> row) {
  model::Enrolment e;
  e.id = row.uuid();
  e.name = row.text();
  e.tenants = maybe_names(row.template maybe<std::string>());
  e.secret_sha256 = row.text();
  e.earlier_sha256 = row.text();
  e.earlier_until = row.integer();
  e.secret_since = row.integer();
  e.join_token = row.uuid();
  e.joining = row.text();
  e.change = row.integer();
  e.enrolled_at = row.integer();
  return e;
}

}  // namespace geres::hub::store::shapes
