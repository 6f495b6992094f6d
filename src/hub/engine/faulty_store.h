// SPDX-License-Identifier: Apache-2.0
// For tests: a store whose commits are refused, or end in doubt, where it is told to.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "hub/store/store.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::engine {

// Passes everything on to a store, and fails where it is told to.
class FaultyStore : public store::Store {
 public:
  explicit FaultyStore(std::unique_ptr<store::Store> inner) : inner_(std::move(inner)) {}
  // Thrown once by the next commit: after doing it when `done`, before otherwise. Then the store is away for so many
  // calls.
  struct CommitFault {
    store::Failure failure;
    bool done = false;
    int away = 0;
  };
  std::optional<CommitFault> next_commit;
  bool fail_heads = false;                   // the next time they are looked for
  std::optional<std::string> poisoned_name;  // a change that inserts a job of this name is refused
  bool full = false;                         // commits that insert jobs fail for space
  std::function<void()> before_commit;
  int away = 0;   // so many of the next calls that begin something or load find no store
  int waits = 0;  // how often a tick has waited for an answer: to begin, to read, to commit

  store::Image load() override {
    answer_or_not();
    return inner_->load();
  }
  void lead(Millis engine_now) override {
    answer_or_not();
    inner_->lead(engine_now);
  }
  store::Found begin(const store::Wanted& wanted) override {
    answer_or_not();
    ++waits;
    return inner_->begin(wanted);
  }
  store::Committed committed(std::int64_t tick) override {
    answer_or_not();
    return inner_->committed(tick);
  }
  void apply(const store::Changes& changes) override {
    for (const auto& job : changes.jobs)
      if (job.spec.name == poisoned_name) throw store::StoreFailed(store::Failure::refused, "poisoned");
    if (full && !changes.jobs.empty()) throw store::StoreFailed(store::Failure::full, "no space left");
    inner_->apply(changes);
  }
  void commit(std::int64_t tick) override {
    ++waits;
    if (before_commit) before_commit();
    if (const auto fault = std::exchange(next_commit, std::nullopt)) {
      if (fault->done) inner_->commit(tick);
      away = fault->away;
      throw store::StoreFailed(fault->failure, "injected");
    }
    inner_->commit(tick);
  }
  void rollback() noexcept override { inner_->rollback(); }
  std::vector<std::optional<model::Job>> jobs_by_key(std::span<const store::KeyRef> keys) override {
    return asked().jobs_by_key(keys);
  }
  std::optional<store::ListKeyRow> list_key(const std::string& scope, const std::string& key) override {
    return asked().list_key(scope, key);
  }
  std::vector<std::optional<model::Job>> jobs(std::span<const Uuid> ids) override { return asked().jobs(ids); }
  std::vector<model::Job> jobs_by_seq(std::span<const store::Seq> seqs) override { return asked().jobs_by_seq(seqs); }
  std::optional<store::AttemptRow> ended_attempt(Uuid lease) override { return asked().ended_attempt(lease); }
  std::optional<store::ScheduledRow> scheduled_row(Uuid id) override { return asked().scheduled_row(id); }
  std::vector<store::Taken> take_ready(std::span<const store::LaneTake> lanes) override {
    return asked().take_ready(lanes);
  }
  std::vector<store::ReadyRow> peek_ready(store::LaneNo lane, std::size_t n) override {
    return asked().peek_ready(lane, n);
  }
  std::vector<std::optional<store::ReadyRow>> heads(std::span<const store::LaneNo> lanes) override {
    if (std::exchange(fail_heads, false)) throw store::StoreFailed(store::Failure::refused, "injected");
    return asked().heads(lanes);
  }
  std::vector<store::ScheduledRow> due(Millis e, Millis w, std::size_t max) override { return asked().due(e, w, max); }
  std::optional<Millis> next_due(bool by_wall) override { return asked().next_due(by_wall); }
  std::vector<store::QueueDeadlineRow> deadlines_due(Millis e, std::size_t max) override {
    return asked().deadlines_due(e, max);
  }
  std::optional<Millis> next_deadline() override { return asked().next_deadline(); }
  Slice slice(const store::JobFilter& filter, store::Seq after, store::Seq bound, std::size_t scan) override {
    return asked().slice(filter, after, bound, scan);
  }
  std::vector<Uuid> ended_before(model::JobState state, Millis before, const std::string& tenant,
                                 const std::vector<std::string>& except, std::size_t max) override {
    return asked().ended_before(state, before, tenant, except, max);
  }
  std::size_t purge_events(store::EventNo keep_from, Millis before, Millis now, std::size_t max) override {
    return inner_->purge_events(keep_from, before, now, max);
  }
  KeySlice purge_list_keys(Millis before, KeyPlace after, std::size_t max) override {
    return inner_->purge_list_keys(before, after, max);
  }
  bool package_in_use(const std::string& tenant, const std::string& sha256) override {
    return asked().package_in_use(tenant, sha256);
  }
  bool token_named(const std::string& name, const std::vector<std::string>& tenants, Millis now) override {
    return asked().token_named(name, tenants, now);
  }
  std::vector<store::DeliveryRow> deliveries(Uuid webhook, store::DeliveryState state, store::EventNo after,
                                             std::size_t max) override {
    return asked().deliveries(webhook, state, after, max);
  }
  std::size_t purge_deliveries(Uuid webhook, bool all, Millis before, std::size_t dead_max, std::size_t max) override {
    return inner_->purge_deliveries(webhook, all, before, dead_max, max);
  }
  std::optional<store::BlobRow> blob(const store::BlobKey& key) override { return asked().blob(key); }
  std::vector<store::BlobRow> blobs_since(store::BlobState state, Millis before, const store::BlobRow& after,
                                          std::size_t max) override {
    return asked().blobs_since(state, before, after, max);
  }
  bool blob_named(const store::BlobKey& key) override { return asked().blob_named(key); }
  std::optional<store::MachineRow> machine(const std::string& pool, const std::string& instance) override {
    return asked().machine(pool, instance);
  }
  std::optional<store::IntentRow> intent(const std::string& request) override { return asked().intent(request); }
  std::optional<store::DecisionRow> last_decision(const std::string& pool) override {
    return asked().last_decision(pool);
  }
  std::size_t purge_scaler(Millis before, std::size_t max) override { return inner_->purge_scaler(before, max); }
  store::Reads& reads() override { return inner_->reads(); }

 private:
  void answer_or_not() {
    if (away == 0) return;
    --away;
    throw store::StoreFailed(store::Failure::refused, "injected: the store is away");
  }

  store::Store& asked() {
    ++waits;
    return *inner_;
  }

  std::unique_ptr<store::Store> inner_;
};

}  // namespace geres::hub::engine
