// SPDX-License-Identifier: Apache-2.0
// What the engine asks inside its transaction; store.h says what each verb means.
#pragma once

#include "hub/store/sqlite/connection.h"
#include "hub/store/store.h"

namespace geres::hub::store::sqlite {

std::vector<std::optional<model::Job>> jobs_by_key(Database& database, std::span<const KeyRef> keys);
std::vector<std::optional<model::Job>> jobs_by_id(Database& database, std::span<const Uuid> ids);
std::vector<model::Job> jobs_by_seq(Database& database, std::span<const Seq> seqs);
std::optional<AttemptRow> ended_attempt(Database& database, Uuid lease);
std::optional<ScheduledRow> scheduled_row(Database& database, Uuid id);
std::vector<Taken> take_ready(Database& database, std::span<const LaneTake> lanes);
std::vector<ReadyRow> peek_ready(Database& database, LaneNo lane, std::size_t n);
std::optional<ReadyRow> lane_head(Database& database, LaneNo lane);
std::vector<ScheduledRow> due(Database& database, Millis engine_now, Millis wall_now, std::size_t max);
std::optional<Millis> next_due(Database& database, bool by_wall);
std::vector<QueueDeadlineRow> deadlines_due(Database& database, Millis engine_now, std::size_t max);
std::optional<Millis> next_deadline(Database& database);
void cap_durations(Database& database, Millis engine_now);
Store::Slice slice(Database& database, const JobFilter& filter, Seq after, Seq bound, std::size_t scan);
std::vector<Uuid> ended_before(Database& database, model::JobState state, Millis before, const std::string& tenant,
                               const std::vector<std::string>& except, std::size_t max);
std::size_t purge_events(Database& database, EventNo keep_from, Millis before, Millis now, std::size_t max);
Store::KeySlice purge_list_keys(Database& database, Millis before, Store::KeyPlace after, std::size_t max);
bool package_in_use(Database& database, const std::string& tenant, const std::string& sha256);

// For load(): every lane with its count and head, every lease with its job.
std::vector<LaneState> lane_states(Database& database);
std::vector<LeasedJob> leased_jobs(Database& database);

}  // namespace geres::hub::store::sqlite
