// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/webhook_rows.h"

#include "hub/store/sqlite/json_columns.h"

namespace geres::hub::store::sqlite {
namespace {

#define GERES_DELIVERY_COLUMNS \
  "d.webhook, d.event, d.url, d.state, d.attempts, d.due, d.at, d.tried_at, d.status, d.error"

DeliveryRow read_delivery(Columns& row) {
  DeliveryRow delivery;
  delivery.key.webhook = row.uuid();
  delivery.key.event = row.integer();
  delivery.url = row.text();
  delivery.state = row.as<DeliveryState>();
  delivery.attempts = int(row.integer());
  delivery.due = row.integer();
  delivery.at = row.integer();
  delivery.tried_at = row.maybe<Millis>();
  delivery.status = int(row.integer());
  delivery.error = row.text();
  return delivery;
}

std::vector<DeliveryRow> all_deliveries(Statement& rows) {
  std::vector<DeliveryRow> deliveries;
  while (rows.step()) {
    Columns row(rows);
    deliveries.push_back(read_delivery(row));
  }
  return deliveries;
}

}  // namespace

void put_webhooks(Database& database, const std::vector<model::Webhook>& webhooks) {
  if (webhooks.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO webhook VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  for (const auto& w : webhooks) {
    const auto types = w.types.empty() ? std::optional<std::string>() : names_text(w.types);
    std::string batches;
    for (const Uuid id : w.batches) batches += uuid_bytes(id);
    const auto some_batches = batches.empty() ? std::optional<Blob>() : Blob{batches};
    const auto job_types = w.job_types.empty() ? std::optional<std::string>() : names_text(w.job_types);
    const auto tags = tags_text(w.tags);
    put.bind(w.id, w.tenant, w.for_jobs, OrNull{w.name}, OrNull{w.url}, types, some_batches, w.secret,
             OrNull{w.old_secret}, w.old_secret_until, w.enabled, OrNull{w.reason}, w.cursor, w.rewinds, w.removed,
             w.created_at, OrNull{w.created_by}, job_types, OrNull{tags})
        .run();
  }
}

std::vector<model::Webhook> read_webhooks(Database& database) {
  auto rows = database.cached(
      "SELECT id, tenant, for_jobs, name, url, types, batches, secret, old_secret, old_secret_until, enabled, reason,"
      " cursor, rewinds, removed, created_at, created_by, job_types, tags FROM webhook ORDER BY id");
  std::vector<model::Webhook> webhooks;
  while (rows.step()) {
    Columns row(rows);
    auto& w = webhooks.emplace_back();
    w.id = row.uuid();
    w.tenant = row.text();
    w.for_jobs = row.flag();
    w.name = row.text();
    w.url = row.text();
    if (const auto types = row.maybe<std::string>()) w.types = names_from(*types);
    w.batches = uuids_from(row.text());
    w.secret = row.text();
    w.old_secret = row.text();
    w.old_secret_until = row.integer();
    w.enabled = row.flag();
    w.reason = row.text();
    w.cursor = row.integer();
    w.rewinds = row.integer();
    w.removed = row.flag();
    w.created_at = row.integer();
    w.created_by = row.text();
    if (const auto types = row.maybe<std::string>()) w.job_types = names_from(*types);
    w.tags = tags_from(row.text());
  }
  return webhooks;
}

void put_deliveries(Database& database, const std::vector<DeliveryRow>& deliveries) {
  if (deliveries.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO webhook_delivery VALUES(?,?,?,?,?,?,?,?,?,?)");
  for (const auto& d : deliveries)
    put.bind(d.key.webhook, d.key.event, OrNull{d.url}, d.state, d.attempts, d.due, d.at, d.tried_at, d.status,
             OrNull{d.error})
        .run();
}

void remove_deliveries(Database& database, const std::vector<DeliveryKey>& keys) {
  if (keys.empty()) return;
  auto remove = database.cached("DELETE FROM webhook_delivery WHERE webhook=? AND event=?");
  for (const auto& key : keys) remove.bind(key.webhook, key.event).run();
}

std::vector<DeliveryRow> read_deliveries(Database& database, Uuid webhook, DeliveryState state, EventNo after,
                                         std::size_t max) {
  auto rows = database.cached("SELECT " GERES_DELIVERY_COLUMNS
                              " FROM webhook_delivery d WHERE d.webhook=? AND d.state=? AND d.event>?"
                              " ORDER BY d.event LIMIT ?");
  rows.bind(webhook, state, after, max);
  return all_deliveries(rows);
}

std::vector<ToldDelivery> told_deliveries(Database& database, Uuid webhook, DeliveryState state, EventNo after,
                                          std::size_t max) {
  auto rows = database.cached("SELECT " GERES_DELIVERY_COLUMNS
                              ", e.type, e.seq, e.lo FROM webhook_delivery d LEFT JOIN event e ON e.no = d.event"
                              " WHERE d.webhook=? AND d.state=? AND d.event>? ORDER BY d.event LIMIT ?");
  rows.bind(webhook, state, after, max);
  std::vector<ToldDelivery> deliveries;
  while (rows.step()) {
    Columns row(rows);
    auto& told = deliveries.emplace_back();
    told.row = read_delivery(row);
    told.type = row.maybe<EventType>();
    told.subject.high = std::uint64_t(row.integer());
    told.subject.low = std::uint64_t(row.integer());
  }
  return deliveries;
}

std::vector<DeliveryRow> pending_deliveries(Database& database, const std::optional<DeliveryRow>& after,
                                            std::size_t max) {
  auto rows = database.cached("SELECT " GERES_DELIVERY_COLUMNS
                              " FROM webhook_delivery d WHERE d.state=0 AND (d.due, d.webhook, d.event) > (?,?,?)"
                              " ORDER BY d.due, d.webhook, d.event LIMIT ?");
  const auto from = after.value_or(DeliveryRow{.due = -1});
  rows.bind(from.due, from.key.webhook, from.key.event, max);
  return all_deliveries(rows);
}

std::size_t purge_deliveries(Database& database, Uuid webhook, bool all, Millis before, std::size_t dead_max,
                             std::size_t max) {
  if (all) {
    database
        .cached(
            "DELETE FROM webhook_delivery WHERE webhook=?1 AND event IN"
            " (SELECT event FROM webhook_delivery WHERE webhook=?1 ORDER BY event LIMIT ?2)")
        .bind(webhook, max)
        .run();
    return std::size_t(database.changes());
  }
  database
      .cached(
          "DELETE FROM webhook_delivery WHERE webhook=?1 AND state=1 AND event IN"
          " (SELECT event FROM webhook_delivery WHERE webhook=?1 AND state=1 AND (at < ?2 OR event <="
          "  (SELECT event FROM webhook_delivery WHERE webhook=?1 AND state=1 ORDER BY event DESC LIMIT 1 OFFSET ?3))"
          "  ORDER BY event LIMIT ?4)")
      .bind(webhook, before, dead_max, max)
      .run();
  return std::size_t(database.changes());
}

}  // namespace geres::hub::store::sqlite
