// SPDX-License-Identifier: Apache-2.0
// Reads over a pool of connections of their own, each call in a read-only transaction that sees one committed state.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>

#include "hub/store/postgres/connection.h"

namespace geres::hub::store::postgres {

// Any thread.
class ReadPool {
 public:
  using Open = std::function<std::unique_ptr<Connection>()>;
  ReadPool(Open open, int most) : open_(std::move(open)), most_(most) {}

  std::unique_ptr<Connection> take();  // waits for a free one
  void give(std::unique_ptr<Connection> connection);
  void forget_idle();  // they lead to a server that is gone

 private:
  Open open_;
  int most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Connection>> idle_;
  int busy_ = 0;
};

class PostgresReads final : public Reads {
 public:
  explicit PostgresReads(ReadPool& pool) : pool_(pool) {}

  std::optional<model::Job> job(Uuid id) override;
  std::optional<JobAsOf> job_as_of(Uuid id) override;
  JobPage jobs(const JobFilter& filter, const Page& page) override;
  Counted count(const JobFilter& filter, const Page& page) override;
  std::vector<Uuid> ids_like(const std::string& hex, const std::vector<std::string>& tenants, std::size_t max) override;
  std::vector<model::Attempt> attempts(Uuid job) override;
  std::vector<model::JobFile> files(Uuid job) override;
  std::vector<EventRow> job_events(Uuid job, EventNo after, std::size_t max) override;
  std::vector<EventRow> events(EventNo after, std::size_t max) override;
  std::pair<EventNo, EventNo> event_range() override;
  std::vector<StoredBatch> batches(const BatchFilter& filter, std::optional<Uuid> after, std::size_t max) override;
  std::optional<StoredBatch> batch(Uuid id) override;
  Totals totals() override;
  std::vector<model::Tenant> tenants() override;
  bool has_tenant(const std::string& name) override;
  std::vector<model::PackageVersion> packages() override;
  std::vector<model::Token> tokens() override;
  std::vector<model::JoinToken> join_tokens() override;
  std::vector<model::Enrolment> enrolments() override;
  std::vector<model::Host> hosts() override;
  std::optional<model::Host> host(Uuid id) override;
  std::vector<LeaseRow> leases() override;
  std::vector<model::Webhook> webhooks() override;
  std::vector<ToldDelivery> deliveries(Uuid webhook, DeliveryState state, EventNo after, std::size_t max) override;
  std::vector<DeliveryRow> pending_deliveries(const std::optional<DeliveryRow>& after, std::size_t max) override;
  std::optional<CursorRow> cursor(const std::string& name) override;
  std::vector<model::Pool> pools() override;
  std::optional<model::Pool> pool(const std::string& name) override;
  std::vector<MachineRow> machines(const std::string& pool, bool gone, const std::pair<std::string, std::string>& after,
                                   std::size_t max) override;
  std::vector<IntentRow> open_intents(const std::string& pool) override;
  std::vector<DecisionRow> decisions(const DecisionFilter& filter, std::int64_t before, std::size_t max) override;
  std::vector<LoadSample> load_samples(const std::string& pool, Millis from, Millis to, std::size_t max) override;
  std::vector<DueJobs> due_soon(Millis engine, Millis wall, Millis near, Millis far, std::size_t max) override;
  ScalerRow scaler() override;
  std::string log() override;
  bool blob_named(const std::string& tenant, const std::string& sha256) override;
  std::vector<std::optional<BlobRow>> blobs(std::span<const BlobKey> keys) override;
  std::map<model::Reason, std::int64_t> dead_letters(const std::vector<std::string>& tenants) override;
  std::optional<model::Job> oldest_ready(std::vector<ReadyRow> first, std::span<const LaneNo> lanes) override;
  std::int64_t ready_before(const std::vector<ReadyRow>& rows, std::int64_t max) override;
  std::vector<EndedCount> ended_since(Millis from) override;
  std::int64_t size_bytes() override;
  Audit audit(const AuditOptions& options) override;

 private:
  template <class F>
  auto read(F&& work);

  ReadPool& pool_;
};

}  // namespace geres::hub::store::postgres
