// SPDX-License-Identifier: Apache-2.0
// The small tables, read whole or by their key.
#pragma once

#include "hub/store/postgres/connection.h"
#include "hub/store/postgres/tables.h"
#include "hub/store/shapes/scaler.h"
#include "hub/store/shapes/webhooks.h"

namespace geres::hub::store::postgres {

// " WHERE …" and " ORDER BY …" as they are.
template <class Read>
auto select(Connection& connection, const Table& table, const std::string& rest, Read read, const Values& values = {}) {
  return connection.ask("SELECT " + table.names + " FROM " + table.name + rest, values).all(read);
}

template <class Read>
auto select_one(Connection& connection, const Table& table, const std::string& where, Read read, const Values& values) {
  return connection.ask("SELECT " + table.names + " FROM " + table.name + where, values).first(read);
}

#define GERES_READ(name) [](Reader row) { return shapes::read_##name(row); }

inline std::vector<BatchCounts> read_counts(Connection& connection) {
  return connection.ask("SELECT batch, tenant, s0, s1, s2, s3, s4, s5, s6, s7 FROM batch_count").all([](Reader row) {
    BatchCounts counts;
    counts.batch = row.uuid();
    counts.tenant = row.text();
    for (auto& n : counts.counts) n = row.integer();
    return counts;
  });
}

inline std::vector<IntentRow> read_open_intents(Connection& connection, const std::string& pool) {
  return select(connection, tables::scaler_intent,
                " WHERE ($1 = '' OR pool = $1) AND state IN (0, 4) ORDER BY issued_at, request", GERES_READ(intent),
                Values(pool));
}

inline ScalerRow read_scaler(Connection& connection) {
  return connection.ask("SELECT holder, epoch FROM scaler")
      .first([](Reader row) {
        ScalerRow scaler;
        scaler.holder = row.text();
        scaler.epoch = row.integer();
        return scaler;
      })
      .value_or(ScalerRow{});
}

}  // namespace geres::hub::store::postgres
