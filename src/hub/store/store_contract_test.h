// SPDX-License-Identifier: Apache-2.0
// What any store must do, part one: rows and transactions. Include the three parts in one source of the store's own
// tests and say INSTANTIATE_TEST_SUITE_P for StoreContract and StoreFilters with its PlaceKind.
#pragma once

#include "hub/store/store_fixture.h"

namespace geres::hub::store::contract {

using model::JobState;

TEST_P(StoreContract, StartsEmpty) {
  const Image image = store->load();
  EXPECT_FALSE(image.log.empty());
  EXPECT_EQ(image.tick, 0);
  EXPECT_EQ(image.last_event, 0);
  EXPECT_EQ(image.last_id, 0u);
  EXPECT_TRUE(image.lanes.empty());
  EXPECT_EQ(reads().event_range(), std::pair(EventNo(0), EventNo(0)));
  ASSERT_EQ(reads().batches({}, {}, 100).size(), 1u);
  EXPECT_EQ(reads().batches({}, {}, 100).front().batch.name, "batch0");
  EXPECT_EQ(reads().batches({}, {}, 100).front().batch.priority, model::kDefaultBatchPriority);
}

TEST_P(StoreContract, KeepsEveryFieldOfAJob) {
  auto job = new_job();
  const auto batch = next_id(), old = next_id(), anew = next_id();
  auto& spec = job.spec;
  spec.package = "pictures";
  spec.package_sha256 = std::string(63, 'a') + "0";
  spec.name = "Überblick \xF0\x9F\x96\xBC";
  spec.parameters = R"({"a":[1,2,{"b":"ü"}]})";
  spec.inputs = {{"in/a.png", std::string(64, 'b'), {}, ""}, {"b.png", "", old, "out/b.png"}};
  spec.batch = batch;
  spec.priority = -7;
  spec.not_before = 1'800'000'000'123;
  spec.delay = 5;
  spec.timeout = 6;
  spec.queue_timeout = 7;
  spec.lease = 8;
  spec.max_attempts = 9;
  spec.backoff = {11, 1.5, 12};
  spec.requirements = {2, 1 << 30, {{"gpu", "yes"}, {"zone", "a\"b"}}};
  spec.tags = {{"colour", "grün"}, {"quote\"d", "{}"}};
  spec.key = "key-1";
  spec.key_digest = std::string(64, 'f');
  spec.ref = "first";
  spec.submitted_by = "ci";
  auto& status = job.status;
  status = {JobState::failed, model::Reason::maxAttempts, "exit code 3", 4, 3, 1, 12};
  status.progress = model::Progress{40, "almost"};
  status.result = "";
  status.result_truncated = true;
  status.exit = model::Exit{3, std::nullopt};
  status.cause = model::Cause::outOfMemory;
  status.usage = model::Usage{1.25, 77};
  status.files_left_out = {{{"pi\npe", "a pipe (FIFO)"}, {"lat\\xE9", "the path is not UTF-8"}}, 200};
  status.host = "h";
  status.submitted_at = 1;
  status.ready_at = 2;
  status.due_at = 3;
  status.started_at = 4;
  status.finished_at = 5;
  status.cancel_requested_at = 6;
  status.redrive_of = old;
  status.redriven_as = anew;
  status.settled_at = 7;
  status.trouble = {"tiny", 3, 1'700'000'000'005, {{"tiny", "no \"room\""}, {"ü", ""}}, {"tiny", "w2"}};
  status.memory = 4ll << 30;
  insert({job});
  expect_same(read(job.id), job);
  reopen();
  expect_same(read(job.id), job);
}

TEST_P(StoreContract, KeepsTheUsualJobToo) {
  const auto job = new_job();
  insert({job});
  expect_same(read(job.id), job);
}

TEST_P(StoreContract, KeepsAnyText) {
  auto job = new_job();
  job.spec.parameters = std::string(65'536, 'x');
  job.status.error = std::string("a\0b", 3);
  job.status.result = std::string(65'536, 'y') + std::string("\0é\n'\"", 6);
  insert({job});
  expect_same(read(job.id), job);
}

TEST_P(StoreContract, TakesAnIdAsAWhole) {
  const auto job = new_job();
  insert({job});
  const Uuid guess{job.id.high, job.id.low + 1};
  EXPECT_FALSE(reads().job(guess));
  EXPECT_FALSE(inside([&] { return store->jobs(std::array{guess}); }).front());
}

TEST_P(StoreContract, UpdatesStatusAndEdits) {
  auto job = new_job();
  insert({job});
  job.status.state = JobState::finished;
  job.status.version = 3;
  job.status.result = "done";
  job.status.exit = model::Exit{0, std::nullopt};
  job.status.finished_at = now;
  job.spec.priority = 12;
  job.spec.not_before = now + 5;
  job.spec.tags = {{"a", "b"}};
  job.status.trouble.lost_on = {"w1"};
  job.status.memory = 1 << 20;
  Changes changes;
  changes.updates.push_back({job.id, job.status});
  changes.edits.push_back({job.id, 12, now + 5, {{"a", "b"}}});
  tick(changes);
  expect_same(read(job.id), job);
}

TEST_P(StoreContract, RollbackLeavesNothing) {
  const auto job = new_job();
  insert({job});
  Changes changes;
  changes.jobs.push_back(new_job());
  changes.updates.push_back(ended(job, JobState::finished, now));
  changes.ready_removed.push_back(ready(job));
  changes.leases.push_back(lease_of(job));
  changes.events.push_back(event(1, job.id));
  changes.batches.push_back({next_id(), "acme", "nightly"});
  changes.lanes.push_back({5, {{}, "acme", "Resize", false, {}}});
  changes.tenants.push_back({"acme"});
  changes.counts.push_back({model::kDefaultBatch, "acme", JobState::ready, 4});
  store->begin();
  store->apply(changes);
  store->rollback();
  store->rollback();  // without a transaction: nothing
  expect_same(read(job.id), job);
  const Image image = store->load();
  EXPECT_EQ(image.tick, 1);
  EXPECT_EQ(image.last_event, 0);
  EXPECT_EQ(image.last_id, job.id.high);
  EXPECT_EQ(image.last_lane, 0);
  EXPECT_TRUE(image.leases.empty() && image.batches.empty() && image.lanes.empty() && image.tenants.empty());
  EXPECT_TRUE(image.counts.empty());
  EXPECT_EQ(reads().jobs({}, {}).jobs.size(), 1u);
}

TEST_P(StoreContract, TransactionSeesItselfOthersDoNot) {
  if (!GetParam().threads) GTEST_SKIP();
  const auto job = new_job();
  Changes changes;
  changes.jobs.push_back(job);
  changes.ready.push_back(ready(job));
  store->begin();
  store->apply(changes);
  EXPECT_TRUE(store->jobs(std::array{job.id}).front());
  EXPECT_EQ(head(1), ready(job));
  std::optional<model::Job> seen;
  std::thread([&] { seen = reads().job(job.id); }).join();
  EXPECT_FALSE(seen);
  store->commit(1);
  std::thread([&] { seen = reads().job(job.id); }).join();
  EXPECT_TRUE(seen);
}

TEST_P(StoreContract, AFailedChangeLeavesTheStoreUsable) {
  const auto job = new_job();
  insert({job});
  Changes twice;
  twice.jobs.push_back(job);
  EXPECT_EQ(failure_of(twice), Failure::refused) << "the same id went in twice";
  insert({new_job()});
  EXPECT_EQ(reads().jobs({}, {}).jobs.size(), 2u);
}

TEST_P(StoreContract, OnlyTheLastThatLeadsBegins) {
  if (!GetParam().threads) GTEST_SKIP();
  const auto deposed = [](Store& asked) {
    try {
      asked.begin();
      asked.rollback();
    } catch (const StoreFailed& failed) {
      return failed.failure == Failure::deposed;
    }
    return false;
  };
  store->lead(0);
  insert({new_job()});
  const auto other = place->open();
  EXPECT_FALSE(deposed(*store));
  other->lead(0);
  EXPECT_TRUE(deposed(*store));
  EXPECT_FALSE(deposed(*other));
  EXPECT_EQ(other->load().tick, 1);
  store->lead(0);  // back again
  EXPECT_FALSE(deposed(*store));
  EXPECT_TRUE(deposed(*other));
}

TEST_P(StoreContract, KnowsWhatBecameOfACommit) {
  store->lead(0);
  insert({new_job()});
  EXPECT_EQ(store->committed(1), Committed::done);
  EXPECT_EQ(store->committed(2), Committed::not_done);
  if (!GetParam().threads) return;
  const auto other = place->open();
  other->lead(0);
  other->begin();
  other->commit(2);  // not the one that is asked for
  EXPECT_EQ(store->committed(2), Committed::deposed);
}

TEST_P(StoreContract, LeaseStandsForItsJob) {
  const auto job = new_job();
  insert({job});
  auto lease = lease_of(job, 3);
  Changes grant;
  grant.ready_removed.push_back(ready(job));
  grant.leases.push_back(lease);
  tick(grant);
  auto seen = read(job.id);
  EXPECT_EQ(seen.status.state, JobState::leased);
  EXPECT_EQ(seen.status.attempt, 3);
  EXPECT_EQ(seen.status.version, 2);
  EXPECT_EQ(seen.status.host, "worker-1");

  lease.started_at = now;
  lease.version = 3;
  lease.progress = model::Progress{std::nullopt, "half"};
  lease.cancel_requested_at = now + 1;
  lease.cancel_grace = 500;
  lease.cancel_reason = "enough";
  Changes start;
  start.leases.push_back(lease);
  tick(start);
  seen = inside([&] { return *store->jobs(std::array{job.id}).front(); });
  EXPECT_EQ(seen.status.state, JobState::running);
  EXPECT_EQ(seen.status.version, 3);
  EXPECT_EQ(seen.status.started_at, now);
  EXPECT_EQ(seen.status.progress, lease.progress);
  EXPECT_EQ(seen.status.cancel_requested_at, now + 1);

  const auto attempts = reads().attempts(job.id);
  ASSERT_EQ(attempts.size(), 1u);
  EXPECT_EQ(attempts[0].attempt, 3);
  EXPECT_FALSE(attempts[0].outcome);
  const auto leases = reads().leases();
  ASSERT_EQ(leases.size(), 1u);
  EXPECT_EQ(leases[0].name, lease.name);
  EXPECT_EQ(leases[0].cancel_reason, "enough");

  Changes end;
  end.leases_removed.push_back(job.id);
  tick(end);
  EXPECT_EQ(read(job.id).status.state, JobState::ready);  // what its own row says
  EXPECT_TRUE(reads().leases().empty());
}

TEST_P(StoreContract, ReopenedStoreHasEverything) {
  auto jobs = new_jobs(3);
  jobs[1].spec.parameters = "[1]";
  const model::Batch batch{next_id(), "acme", "nightly", 200, true, 4, model::BatchState::closed, true, 5, "me"};
  const LaneKey key{batch.id, "acme", "Resize", true, {2, 100, {{"gpu", "yes"}}}, "tiny"};
  const model::Host host{next_id(),
                         "h1",
                         "secret",
                         "10.0.0.1",
                         3,
                         7,
                         {{"a", "b"}},
                         std::vector<std::string>{},
                         false,
                         std::nullopt,
                         "cgroup2",
                         model::HostMode::drain,
                         9,
                         "fenced",
                         "cgroup1",
                         "watched",
                         "cpu",
                         "i-7",
                         model::ModeBy::scaler,
                         "idle"};
  const model::PackageVersion package{"acme", "pictures", std::string(64, 'c'), 10, 2, {"Resize", "Crop"}, true, 11};
  OperationRow operation{next_id(), OperationKind::cancel_filter, {}, 1, 2, 3, 4, "why"};
  operation.filter = {{"acme", "b"},
                      batch.id,
                      {JobState::ready, JobState::running},
                      "t",
                      "n",
                      "h",
                      {{"k", "v"}},
                      5,
                      6,
                      {jobs[0].id},
                      model::Reason::timeout};
  auto lease = lease_of(jobs[1]);
  lease.progress = model::Progress{5, "m"};
  Changes changes;
  changes.tenants = {{"acme", 2.5, 3, 4, 5, std::nullopt}};
  changes.batches = {batch};
  changes.lanes = {{3, key}, {4, {}}};
  changes.hosts = {host};
  changes.packages = {package};
  changes.operations = {operation};
  changes.jobs = jobs;
  changes.ready = {ready(jobs[0], 3), ready(jobs[2], 3)};
  changes.leases = {lease};
  changes.counts = {{batch.id, "acme", JobState::ready, 2}, {batch.id, "acme", JobState::leased, 1}};
  changes.events = {event(1, jobs[0].id), event(2, jobs[1].id)};
  tick(changes);
  const std::string log = store->load().log;
  reopen();
  const Image image = store->load();
  EXPECT_EQ(image.log, log);
  EXPECT_EQ(image.tick, 1);
  EXPECT_EQ(image.last_event, 2);
  EXPECT_EQ(image.last_id, operation.id.high);
  EXPECT_EQ(image.last_lane, 4);
  ASSERT_EQ(image.tenants.size(), 1u);
  EXPECT_EQ(image.tenants[0].weight, 2.5);
  EXPECT_EQ(image.tenants[0].keep_finished, 5);
  EXPECT_FALSE(image.tenants[0].keep_failed);
  ASSERT_EQ(image.batches.size(), 1u);
  EXPECT_EQ(image.batches[0].id, batch.id);
  EXPECT_EQ(image.batches[0].state, batch.state);
  EXPECT_TRUE(image.batches[0].paused && image.batches[0].dedicated);
  EXPECT_EQ(image.batches[0].created_by, "me");
  ASSERT_EQ(image.lanes.size(), 2u);
  EXPECT_EQ(image.lanes[0].lane.key, key);
  EXPECT_EQ(image.lanes[0].ready, 2);
  EXPECT_EQ(image.lanes[0].head, ready(jobs[0], 3));
  EXPECT_TRUE(image.lanes[0].one_priority);
  EXPECT_EQ(image.lanes[1].ready, 0);
  EXPECT_FALSE(image.lanes[1].head);
  ASSERT_EQ(image.leases.size(), 1u);
  EXPECT_EQ(image.leases[0].lease.name, lease.name);
  EXPECT_EQ(image.leases[0].lease.progress, lease.progress);
  EXPECT_EQ(image.leases[0].job.id, jobs[1].id);
  EXPECT_EQ(image.leases[0].job.spec.parameters, "");
  ASSERT_EQ(image.hosts.size(), 1u);
  EXPECT_EQ(image.hosts[0].types, host.types);
  EXPECT_EQ(image.hosts[0].tenants, host.tenants);
  EXPECT_EQ(image.hosts[0].labels, host.labels);
  EXPECT_EQ(image.hosts[0].mode, host.mode);
  EXPECT_EQ(std::pair(image.hosts[0].pool, image.hosts[0].instance), std::pair(host.pool, host.instance));
  EXPECT_EQ(std::pair(image.hosts[0].mode_by, image.hosts[0].mode_reason), std::pair(host.mode_by, host.mode_reason));
  ASSERT_EQ(image.packages.size(), 1u);
  EXPECT_EQ(image.packages[0].sha256, package.sha256);
  EXPECT_EQ(image.packages[0].types, package.types);
  EXPECT_TRUE(image.packages[0].open);
  ASSERT_EQ(image.counts.size(), 1u);
  EXPECT_EQ(image.counts[0].counts[std::size_t(JobState::ready)], 2);
  ASSERT_EQ(image.operations.size(), 1u);
  const auto& filter = image.operations[0].filter;
  EXPECT_EQ(filter.tenants, operation.filter.tenants);
  EXPECT_EQ(filter.batch, operation.filter.batch);
  EXPECT_EQ(filter.states, operation.filter.states);
  EXPECT_EQ(filter.tags, operation.filter.tags);
  EXPECT_EQ(filter.submitted_after, 5);
  EXPECT_EQ(filter.submitted_before, 6);
  EXPECT_EQ(filter.ids, operation.filter.ids);
  EXPECT_EQ(filter.reason, model::Reason::timeout);
  EXPECT_EQ(filter.type + filter.name + filter.host, "tnh");
  EXPECT_EQ(image.operations[0].text, "why");
}

TEST_P(StoreContract, ReplacesAndRemovesTheSmallThings) {
  const model::Host host{next_id(), "h1"};
  const model::Token token{next_id(), "ci", "digest", {model::Role::operator_, model::Role::host}, {"acme"}, now, 1};
  const model::PackageVersion package{"acme", "p", std::string(64, 'd'), 1, 1};
  const OperationRow operation{next_id()};
  Changes changes;
  changes.hosts = {host};
  changes.tokens = {token};
  changes.packages = {package};
  changes.operations = {operation};
  changes.lanes = {{1, {}}, {2, {next_id()}}};
  tick(changes);
  tick([&] {  // the same again: replaced (lanes are only ever inserted)
    Changes again = changes;
    again.lanes.clear();
    again.hosts[0].name = "h2";
    return again;
  }());
  ASSERT_EQ(reads().tokens().size(), 1u);
  EXPECT_EQ(reads().tokens()[0].roles, token.roles);
  EXPECT_EQ(reads().tokens()[0].tenants, token.tenants);
  EXPECT_EQ(reads().tokens()[0].expires, token.expires);
  ASSERT_EQ(reads().hosts().size(), 1u);
  EXPECT_EQ(reads().hosts()[0].name, "h2");
  EXPECT_EQ(reads().host(reads().hosts()[0].id).value().name, "h2");
  EXPECT_FALSE(reads().host(next_id()));
  Changes removal;
  removal.hosts_removed = {host.id};
  removal.tokens_removed = {token.id};
  removal.packages_removed = {package};
  removal.operations_removed = {operation.id};
  removal.lanes_removed = {2};
  tick(removal);
  const Image image = store->load();
  EXPECT_TRUE(image.hosts.empty() && image.packages.empty() && image.operations.empty() && reads().tokens().empty());
  ASSERT_EQ(image.lanes.size(), 1u);
  EXPECT_EQ(image.last_lane, 2);  // never given again
}

}  // namespace geres::hub::store::contract
