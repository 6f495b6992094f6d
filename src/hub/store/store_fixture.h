// SPDX-License-Identifier: Apache-2.0
// What the contract tests stand on: a place where a store can be made and opened again, and short ways to build rows.
#pragma once

#include <gmock/gmock.h>

#include <array>
#include <functional>
#include <memory>
#include <thread>

#include "hub/store/store.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::store::contract {

// Where a store lives. Opening it again (after the old one was closed) finds what was committed.
class Place {
 public:
  virtual ~Place() = default;
  virtual std::unique_ptr<Store> open() = 0;
};

struct PlaceKind {
  std::string name;
  std::function<std::unique_ptr<Place>()> make;
  bool threads = true;  // may be read from other threads
};

inline void PrintTo(const PlaceKind& kind, std::ostream* out) {
  *out << kind.name;
}

inline std::vector<Uuid> ids_of(const std::vector<model::Job>& jobs) {
  std::vector<Uuid> ids;
  for (const auto& job : jobs) ids.push_back(job.id);
  return ids;
}

class StoreContract : public testing::TestWithParam<PlaceKind> {
 protected:
  StoreContract() : place(GetParam().make()), store(place->open()) {}

  void reopen() {
    store.reset();
    store = place->open();
  }

  Uuid next_id() { return ids.next(now++); }

  model::Job new_job(const std::string& tenant = "acme", const std::string& type = "Resize") {
    model::Job job;
    job.id = next_id();
    job.spec.tenant = tenant;
    job.spec.type = type;
    job.status.submitted_at = std::int64_t(job.id.high >> 16);
    job.status.ready_at = job.status.submitted_at;
    return job;
  }

  // Jobs of one tenant, each ready in lane 1.
  std::vector<model::Job> new_jobs(int n, const std::string& tenant = "acme") {
    std::vector<model::Job> jobs;
    for (int i = 0; i < n; ++i) jobs.push_back(new_job(tenant));
    return jobs;
  }

  std::optional<ReadyRow> head(LaneNo lane) { return store->heads(std::array{lane}).front(); }
  Taken take(LaneNo lane, std::size_t n) { return store->take_ready(std::array{LaneTake{lane, n}}).front(); }

  static ReadyRow ready(const model::Job& job, LaneNo lane = 1) { return {lane, job.spec.priority, job.id.seq()}; }

  LeaseRow lease_of(const model::Job& job, int attempt = 1) {
    LeaseRow lease;
    lease.name = {job.id.high, random.next()};
    lease.job = job.id;
    lease.lane = 1;
    lease.host = next_id();
    lease.host_name = "worker-1";
    lease.attempt = attempt;
    lease.version = 2;
    lease.ttl = 30'000;
    lease.granted_at = now;
    lease.fetch_id = "fetch-1";
    return lease;
  }

  static JobUpdate ended(const model::Job& job, model::JobState state, Millis at,
                         model::Reason reason = model::Reason::none) {
    JobUpdate update{job.id, job.status};
    update.status.state = state;
    update.status.reason = reason;
    update.status.finished_at = at;
    return update;
  }

  EventRow event(EventNo no, Uuid subject, EventType type = EventType::job_submitted) {
    EventRow row;
    row.no = no;
    row.type = type;
    row.subject = subject;
    row.tenant = "acme";
    row.at = now;
    row.data = JobEvent{model::JobState::ready, 1, 0, {}};
    return row;
  }

  void tick(const Changes& changes) {
    store->begin();
    store->apply(changes);
    store->commit(++tick_no);
  }

  // How a tick with these changes fails: where they are applied, or, in a store that sends them ahead, at the commit.
  std::optional<Failure> failure_of(const Changes& changes) {
    store->begin();
    try {
      store->apply(changes);
      store->commit(++tick_no);
    } catch (const StoreFailed& failed) {
      --tick_no;
      store->rollback();
      return failed.failure;
    }
    return std::nullopt;
  }

  void insert(std::vector<model::Job> jobs) {
    Changes changes;
    for (const auto& job : jobs)
      if (job.status.state == model::JobState::ready) changes.ready.push_back(ready(job));
    changes.jobs = std::move(jobs);
    tick(changes);
  }

  template <class F>
  auto inside(F work) {  // in a transaction of its own, taken back
    store->begin();
    auto result = work();
    store->rollback();
    return result;
  }

  Reads& reads() { return store->reads(); }
  model::Job read(Uuid id) {
    auto job = reads().job(id);
    EXPECT_TRUE(job.has_value());
    return job.value_or(model::Job{});
  }

  Millis now = 1'700'000'000'000;
  SeededRandom random{7};
  IdSource ids{random};
  std::int64_t tick_no = 0;
  std::unique_ptr<Place> place;
  std::unique_ptr<Store> store;
};

// Every field, so that a column that is forgotten shows.
inline void expect_same(const model::Job& a, const model::Job& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.spec.tenant, b.spec.tenant);
  EXPECT_EQ(a.spec.type, b.spec.type);
  EXPECT_EQ(a.spec.package, b.spec.package);
  EXPECT_EQ(a.spec.package_sha256, b.spec.package_sha256);
  EXPECT_EQ(a.spec.name, b.spec.name);
  EXPECT_EQ(a.spec.parameters, b.spec.parameters);
  EXPECT_EQ(a.spec.inputs, b.spec.inputs);
  EXPECT_EQ(a.spec.batch, b.spec.batch);
  EXPECT_EQ(a.spec.priority, b.spec.priority);
  EXPECT_EQ(a.spec.not_before, b.spec.not_before);
  EXPECT_EQ(a.spec.delay, b.spec.delay);
  EXPECT_EQ(a.spec.timeout, b.spec.timeout);
  EXPECT_EQ(a.spec.queue_timeout, b.spec.queue_timeout);
  EXPECT_EQ(a.spec.lease, b.spec.lease);
  EXPECT_EQ(a.spec.max_attempts, b.spec.max_attempts);
  EXPECT_EQ(a.spec.backoff, b.spec.backoff);
  EXPECT_EQ(a.spec.requirements, b.spec.requirements);
  EXPECT_EQ(a.spec.tags, b.spec.tags);
  EXPECT_EQ(a.spec.key, b.spec.key);
  EXPECT_EQ(a.spec.key_digest, b.spec.key_digest);
  EXPECT_EQ(a.spec.ref, b.spec.ref);
  EXPECT_EQ(a.spec.submitted_by, b.spec.submitted_by);
  EXPECT_EQ(a.status.state, b.status.state);
  EXPECT_EQ(a.status.reason, b.status.reason);
  EXPECT_EQ(a.status.error, b.status.error);
  EXPECT_EQ(a.status.attempt, b.status.attempt);
  EXPECT_EQ(a.status.failures, b.status.failures);
  EXPECT_EQ(a.status.host_losses, b.status.host_losses);
  EXPECT_EQ(a.status.version, b.status.version);
  EXPECT_EQ(a.status.progress, b.status.progress);
  EXPECT_EQ(a.status.result, b.status.result);
  EXPECT_EQ(a.status.result_truncated, b.status.result_truncated);
  EXPECT_EQ(a.status.exit, b.status.exit);
  EXPECT_EQ(a.status.cause, b.status.cause);
  EXPECT_EQ(a.status.usage, b.status.usage);
  EXPECT_EQ(a.status.files_left_out, b.status.files_left_out);
  EXPECT_EQ(a.status.host, b.status.host);
  EXPECT_EQ(a.status.submitted_at, b.status.submitted_at);
  EXPECT_EQ(a.status.ready_at, b.status.ready_at);
  EXPECT_EQ(a.status.due_at, b.status.due_at);
  EXPECT_EQ(a.status.started_at, b.status.started_at);
  EXPECT_EQ(a.status.finished_at, b.status.finished_at);
  EXPECT_EQ(a.status.cancel_requested_at, b.status.cancel_requested_at);
  EXPECT_EQ(a.status.redrive_of, b.status.redrive_of);
  EXPECT_EQ(a.status.redriven_as, b.status.redriven_as);
  EXPECT_EQ(a.status.settled_at, b.status.settled_at);
  EXPECT_EQ(a.status.trouble, b.status.trouble);
  EXPECT_EQ(a.status.memory, b.status.memory);
}

}  // namespace geres::hub::store::contract
