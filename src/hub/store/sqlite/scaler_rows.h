// SPDX-License-Identifier: Apache-2.0
// Pools, machines, and what the scaler has done and why.
#pragma once

#include "hub/store/sqlite/connection.h"
#include "hub/store/store.h"

namespace geres::hub::store::sqlite {

void put_pools(Database& database, const std::vector<model::Pool>& pools);
void put_machines(Database& database, const std::vector<MachineRow>& machines);
void put_intents(Database& database, const std::vector<IntentRow>& intents);
void put_decisions(Database& database, const std::vector<DecisionRow>& decisions);
void put_load_samples(Database& database, const std::vector<LoadSample>& samples);
void put_scaler(Database& database, const ScalerRow& scaler);

std::vector<model::Pool> read_pools(Database& database);
std::optional<model::Pool> find_pool(Database& database, const std::string& name);
std::vector<MachineRow> live_machines(Database& database);
std::vector<MachineRow> read_machines(Database& database, const std::string& pool, bool gone,
                                      const std::pair<std::string, std::string>& after, std::size_t max);
std::optional<MachineRow> find_machine(Database& database, const std::string& pool, const std::string& instance);
std::optional<IntentRow> find_intent(Database& database, const std::string& request);
std::vector<IntentRow> open_intents(Database& database, const std::string& pool);  // empty: of all
std::optional<DecisionRow> last_decision(Database& database, const std::string& pool);
std::vector<DecisionRow> read_decisions(Database& database, const DecisionFilter& filter, std::int64_t before,
                                        std::size_t max);
std::vector<LoadSample> read_load_samples(Database& database, const std::string& pool, Millis from, Millis to,
                                          std::size_t max);
std::int64_t newest_decision(Database& database);
ScalerRow read_scaler(Database& database);

std::size_t purge_scaler(Database& database, Millis before, std::size_t max);

}  // namespace geres::hub::store::sqlite
