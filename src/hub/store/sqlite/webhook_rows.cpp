// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/webhook_rows.h"

#include "hub/store/shapes/webhooks.h"

namespace geres::hub::store::sqlite {
namespace {

#define GERES_DELIVERY_COLUMNS \
  "d.webhook, d.event, d.url, d.state, d.attempts, d.due, d.at, d.tried_at, d.status, d.error"

std::vector<DeliveryRow> all_deliveries(Statement& rows) {
  return all(std::move(rows), [](Columns row) { return shapes::read_delivery(row); });
}

}  // namespace

void put_webhooks(Database& database, const std::vector<model::Webhook>& webhooks) {
  put_each(database, "INSERT OR REPLACE INTO webhook VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", webhooks,
           [](const auto& row, auto put) { shapes::webhook_columns(row, put); });
}

std::vector<model::Webhook> read_webhooks(Database& database) {
  return all(database.cached("SELECT id, tenant, for_jobs, name, url, types, batches, secret, old_secret,"
                             " old_secret_until, enabled, reason, cursor, rewinds, removed, created_at, created_by,"
                             " job_types, tags FROM webhook ORDER BY id"),
             [](Columns row) { return shapes::read_webhook(row); });
}

void put_deliveries(Database& database, const std::vector<DeliveryRow>& deliveries) {
  put_each(database, "INSERT OR REPLACE INTO webhook_delivery VALUES(?,?,?,?,?,?,?,?,?,?)", deliveries,
           [](const auto& row, auto put) { shapes::delivery_columns(row, put); });
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
  return all(std::move(rows), [](Columns row) { return shapes::read_told_delivery(row); });
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
