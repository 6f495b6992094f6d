// SPDX-License-Identifier: Apache-2.0
// The small tables: tenants, batches, lanes, hosts, packages, tokens, operations, cursors. Each is written row by row
// and read whole.
#pragma once

#include "hub/store/sqlite/connection.h"
#include "hub/store/store.h"

namespace geres::hub::store::sqlite {

void put_tenants(Database& database, const std::vector<model::Tenant>& tenants);
void put_batches(Database& database, const std::vector<model::Batch>& batches);
void insert_lanes(Database& database, const std::vector<LaneRow>& lanes);
void put_lane_durations(Database& database, const std::vector<LaneDuration>& durations);
void put_host_drains(Database& database, const std::vector<HostDrain>& drains);
void remove_host_drains(Database& database, const std::vector<HostDrain>& drains);
std::vector<HostDrain> read_host_drains(Database& database);
void put_hosts(Database& database, const std::vector<model::Host>& hosts);
void put_packages(Database& database, const std::vector<model::PackageVersion>& packages);
void remove_packages(Database& database, const std::vector<model::PackageVersion>& packages);
void put_tokens(Database& database, const std::vector<model::Token>& tokens);
void put_operations(Database& database, const std::vector<OperationRow>& operations);
void put_cursors(Database& database, const std::vector<CursorRow>& cursors);
void insert_list_keys(Database& database, const std::vector<ListKeyRow>& keys);
void add_counts(Database& database, const std::vector<CountDelta>& deltas);
void add_dead_letters(Database& database, const std::vector<DeadLetterDelta>& deltas);

std::vector<model::Tenant> read_tenants(Database& database);
#define GERES_BATCH_COLUMNS \
  "id, tenant, name, priority, dedicated, max_running, state, paused, created_at, created_by, over_tenants"
model::Batch read_batch(const Statement& row);
std::vector<model::Batch> read_batches(Database& database);  // in the order of their ids
std::vector<LaneRow> read_lanes(Database& database);
std::vector<model::Host> read_hosts(Database& database);
std::optional<model::Host> read_host(Database& database, Uuid id);
std::vector<model::PackageVersion> read_packages(Database& database);
std::vector<model::Token> read_tokens(Database& database);
bool token_named(Database& database, const std::string& name, const std::vector<std::string>& tenants, Millis now);
std::vector<OperationRow> read_operations(Database& database);
std::optional<ListKeyRow> find_list_key(Database& database, const std::string& scope, const std::string& key);
std::optional<CursorRow> find_cursor(Database& database, const std::string& name);
std::vector<BatchCounts> read_counts(Database& database);

}  // namespace geres::hub::store::sqlite
