// SPDX-License-Identifier: Apache-2.0
// Webhooks and their deliveries as rows; see small.h.
#pragma once

#include "hub/store/reads.h"
#include "hub/store/shapes/small.h"

namespace geres::hub::store::shapes {

template <class Put>
void webhook_columns(const model::Webhook& w, Put&& put) {
  const auto types = w.types.empty() ? std::optional<std::string>() : names_text(w.types);
  std::string batches;
  for (const Uuid id : w.batches) batches += uuid_bytes(id);
  const auto some_batches = batches.empty() ? std::optional<Blob>() : Blob{batches};
  const auto job_types = w.job_types.empty() ? std::optional<std::string>() : names_text(w.job_types);
  const auto tags = tags_text(w.tags);
  put(w.id, w.tenant, w.for_jobs, OrNull{w.name}, OrNull{w.url}, types, some_batches, w.secret, OrNull{w.old_secret},
      w.old_secret_until, w.enabled, OrNull{w.reason}, w.cursor, w.rewinds, w.removed, w.created_at,
      OrNull{w.created_by}, job_types, OrNull{tags});
}

template <class Row>
model::Webhook read_webhook(RowReader<Row> row) {
  model::Webhook w;
  w.id = row.uuid();
  w.tenant = row.text();
  w.for_jobs = row.flag();
  w.name = row.text();
  w.url = row.text();
  if (const auto types = row.template maybe<std::string>()) w.types = names_from(*types);
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
  if (const auto types = row.template maybe<std::string>()) w.job_types = names_from(*types);
  w.tags = tags_from(row.text());
  return w;
}

template <class Put>
void delivery_columns(const DeliveryRow& d, Put&& put) {
  put(d.key.webhook, d.key.event, OrNull{d.url}, d.state, d.attempts, d.due, d.at, d.tried_at, d.status,
      OrNull{d.error});
}

template <class Row>
DeliveryRow read_delivery(RowReader<Row>& row) {
  DeliveryRow delivery;
  delivery.key.webhook = row.uuid();
  delivery.key.event = row.integer();
  delivery.url = row.text();
  delivery.state = row.template as<DeliveryState>();
  delivery.attempts = int(row.integer());
  delivery.due = row.integer();
  delivery.at = row.integer();
  delivery.tried_at = row.template maybe<Millis>();
  delivery.status = int(row.integer());
  delivery.error = row.text();
  return delivery;
}

// Followed by the type and the two halves of the subject of its event.
template <class Row>
ToldDelivery read_told_delivery(RowReader<Row> row) {
  ToldDelivery told;
  told.row = read_delivery(row);
  told.type = row.template maybe<EventType>();
  told.subject.high = std::uint64_t(row.integer());
  told.subject.low = std::uint64_t(row.integer());
  return told;
}

}  // namespace geres::hub::store::shapes
