// SPDX-License-Identifier: Apache-2.0
// What the engine reads within its transaction, and what it lets the store take away. See store.h.
#pragma once

#include <map>

#include "hub/store/postgres/connection.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::store::postgres {

// Where the first row of each lane can be. Rows before it are gone, but while somebody holds an old snapshot the
// database has to step over what is left of them at every look from the lane's start.
class LaneStarts {
 public:
  struct Start {
    std::int64_t priority = INT64_MIN;
    Seq seq = INT64_MIN;
    auto operator<=>(const Start&) const = default;
  };

  Start of(LaneNo lane) const;
  void came(const ReadyRow& row);           // a row that may be before the start
  void first_is(LaneNo lane, Start start);  // nothing is before it
  void settle() { touched_.clear(); }       // the transaction was committed
  void forget();                            // or was not: start anew for the lanes that it touched
  void forget_all() { starts_.clear(), touched_.clear(); }

 private:
  std::map<LaneNo, Start> starts_;
  std::vector<LaneNo> touched_;
};

std::vector<std::optional<model::Job>> jobs_by_key(Connection& connection, std::span<const KeyRef> keys);
std::vector<std::optional<model::Job>> jobs_by_id(Connection& connection, std::span<const Uuid> ids);
std::vector<model::Job> jobs_by_seq(Connection& connection, std::span<const Seq> seqs);
std::vector<std::optional<ListKeyRow>> list_keys(Connection& connection, std::span<const KeyRef> keys);
std::vector<std::optional<AttemptRow>> ended_attempts(Connection& connection, std::span<const Uuid> leases);
std::vector<std::optional<ScheduledRow>> scheduled_rows(Connection& connection, std::span<const Uuid> ids);
Found find_all(Connection& connection, const Wanted& wanted);

std::vector<Taken> take_ready(Connection& connection, LaneStarts& starts, std::span<const LaneTake> lanes);
std::vector<ReadyRow> peek_ready(Connection& connection, const LaneStarts& starts, LaneNo lane, std::size_t n);
std::vector<std::optional<ReadyRow>> heads(Connection& connection, const LaneStarts& starts,
                                           std::span<const LaneNo> lanes);

std::vector<ScheduledRow> due(Connection& connection, Millis engine_now, Millis wall_now, std::size_t max);
std::optional<Millis> next_due(Connection& connection, bool by_wall);
std::vector<QueueDeadlineRow> deadlines_due(Connection& connection, Millis engine_now, std::size_t max);
std::optional<Millis> next_deadline(Connection& connection);
Store::Slice slice(Connection& connection, const JobFilter& filter, Seq after, Seq bound, std::size_t scan);
std::vector<Uuid> ended_before(Connection& connection, model::JobState state, Millis before, const std::string& tenant,
                               const std::vector<std::string>& except, std::size_t max);
bool package_in_use(Connection& connection, const std::string& tenant, const std::string& sha256);
bool token_named(Connection& connection, const std::string& name, const std::vector<std::string>& tenants, Millis now);
bool blob_named(Connection& connection, const BlobKey& key);
std::vector<BlobRow> blobs_since(Connection& connection, BlobState state, Millis before, const BlobRow& after,
                                 std::size_t max);
std::vector<DeliveryRow> deliveries(Connection& connection, Uuid webhook, DeliveryState state, EventNo after,
                                    std::size_t max);

std::size_t purge_events(Connection& connection, EventNo keep_from, Millis before, Millis now, std::size_t max);
Store::KeySlice purge_list_keys(Connection& connection, Millis before, Store::KeyPlace after, std::size_t max);
std::size_t purge_deliveries(Connection& connection, Uuid webhook, bool all, Millis before, std::size_t dead_max,
                             std::size_t max);
std::size_t purge_scaler(Connection& connection, Millis before, std::size_t max);

void cap_durations(Connection& connection, Millis engine_now);
std::vector<LaneState> lane_states(Connection& connection);
std::vector<LeasedJob> leased_jobs(Connection& connection);

}  // namespace geres::hub::store::postgres
