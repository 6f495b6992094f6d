// SPDX-License-Identifier: Apache-2.0
// Webhooks, written row by row and read whole, and their deliveries, read by webhook or by when they are due.
#pragma once

#include "hub/store/sqlite/connection.h"
#include "hub/store/store.h"

namespace geres::hub::store::sqlite {

void put_webhooks(Database& database, const std::vector<model::Webhook>& webhooks);
std::vector<model::Webhook> read_webhooks(Database& database);

void put_deliveries(Database& database, const std::vector<DeliveryRow>& rows);
void remove_deliveries(Database& database, const std::vector<DeliveryKey>& keys);
std::vector<DeliveryRow> read_deliveries(Database& database, Uuid webhook, DeliveryState state, EventNo after,
                                         std::size_t max);
std::vector<ToldDelivery> told_deliveries(Database& database, Uuid webhook, DeliveryState state, EventNo after,
                                          std::size_t max);
std::vector<DeliveryRow> pending_deliveries(Database& database, const std::optional<DeliveryRow>& after,
                                            std::size_t max);
std::size_t purge_deliveries(Database& database, Uuid webhook, bool all, Millis before, std::size_t dead_max,
                             std::size_t max);

}  // namespace geres::hub::store::sqlite
