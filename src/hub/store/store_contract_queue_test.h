// SPDX-License-Identifier: Apache-2.0
// What any store must do, part two: who waits, what is due, keys, slices of bulk work, retention.
#pragma once

#include "hub/store/store_fixture.h"

namespace geres::hub::store::contract {

using model::JobState;

// In one question what the reads below answer one by one.
TEST_P(StoreContract, BeginsWithWhatIsWanted) {
  Changes changes;
  for (int i = 0; i < 2; ++i) changes.jobs.push_back(new_job("acme", "Resize"));
  auto& job = changes.jobs[0];
  job.spec.key = "k";
  job.status.state = model::JobState::scheduled;
  changes.scheduled = {{job.id.seq(), 10, true, 0}};
  changes.list_keys = {{"acme", "list", "digest", {job.id}, 1}};
  AttemptRow ended;
  ended.job = changes.jobs[1].id;
  ended.lease = {ended.job.high, 77};
  ended.attempt.attempt = 1;
  ended.attempt.outcome = model::Outcome::failed;
  changes.attempts = {ended};
  tick(changes);
  Wanted wanted;
  wanted.keys = {{"acme", "none"}, {"acme", "k"}, {"other", "k"}};
  wanted.list_keys = {{"acme", "list"}, {"other", "list"}};
  wanted.jobs = {next_id(), ended.job, job.id};
  wanted.scheduled = {ended.job, job.id};
  wanted.ended_attempts = {next_id(), ended.lease};
  const auto found = store->begin(wanted);
  ASSERT_EQ(found.by_key.size(), 3u);
  EXPECT_EQ(found.by_key[1].value().id, job.id);
  EXPECT_FALSE(found.by_key[0] || found.by_key[2]);
  ASSERT_EQ(found.lists.size(), 2u);
  EXPECT_EQ(found.lists[0].value().digest, "digest");
  EXPECT_FALSE(found.lists[1]);
  ASSERT_EQ(found.jobs.size(), 3u);
  EXPECT_FALSE(found.jobs[0]);
  EXPECT_EQ(found.jobs[1].value().id, ended.job);
  EXPECT_EQ(found.jobs[2].value().id, job.id);
  ASSERT_EQ(found.scheduled.size(), 2u);
  EXPECT_FALSE(found.scheduled[0]);
  EXPECT_EQ(found.scheduled[1].value().due, 10);
  ASSERT_EQ(found.ended_attempts.size(), 2u);
  EXPECT_FALSE(found.ended_attempts[0]);
  EXPECT_EQ(found.ended_attempts[1].value().job, ended.job);
  store->rollback();
}

TEST_P(StoreContract, TakesTheFirstOfALaneInOrder) {
  const auto jobs = new_jobs(4);
  Changes changes;
  changes.jobs = jobs;
  const ReadyRow late{1, 5, jobs[0].id.seq()}, second{1, 0, jobs[2].id.seq()}, third{1, 0, jobs[3].id.seq()},
      first{1, -9, jobs[1].id.seq()};
  changes.ready = {late, second, third, first, {2, 0, 77}};
  tick(changes);
  store->begin();
  EXPECT_EQ(head(1), first);
  EXPECT_EQ(reads().ready_before({late}, 100), 3);
  EXPECT_EQ(reads().ready_before({late}, 2), 2);
  EXPECT_EQ(reads().ready_before({first}, 100), 0);
  EXPECT_EQ(reads().ready_before({second, {2, 0, 78}, third}, 100), 4) << "in all lanes together";
  EXPECT_EQ(reads().ready_before({second, {2, 0, 78}, third}, 2), 2);
  EXPECT_EQ(store->peek_ready(1, 2), (std::vector{first, second}));
  auto taken = take(1, 2);
  EXPECT_EQ(taken.rows, (std::vector{first, second}));
  EXPECT_EQ(taken.next, third);
  store->rollback();
  store->begin();
  EXPECT_EQ(take(1, 1).rows, std::vector{first});
  taken = take(1, 10);
  EXPECT_EQ(taken.rows, (std::vector{second, third, late}));
  EXPECT_FALSE(taken.next);
  taken = take(1, 10);
  EXPECT_TRUE(taken.rows.empty());
  EXPECT_FALSE(taken.next);
  EXPECT_FALSE(head(1));
  EXPECT_TRUE(head(2));  // another lane is untouched
  store->commit(2);
  EXPECT_TRUE(inside([&] { return take(1, 1); }).rows.empty());
}

TEST_P(StoreContract, TakesOfManyLanesInTheOrderAskedFor) {
  Changes changes;
  for (LaneNo lane = 1; lane <= 4; ++lane)
    for (Seq n = 1; n <= lane; ++n) changes.ready.push_back({lane, 0, lane * 10 + n});
  tick(changes);
  store->begin();
  EXPECT_THAT(store->heads(std::array<LaneNo, 3>{3, 9, 1}),
              testing::ElementsAre(ReadyRow{3, 0, 31}, std::nullopt, ReadyRow{1, 0, 11}));
  const auto taken = store->take_ready(std::vector<LaneTake>{{4, 2}, {9, 1}, {2, 5}});
  ASSERT_EQ(taken.size(), 3u);
  EXPECT_THAT(taken[0].rows, testing::ElementsAre(ReadyRow{4, 0, 41}, ReadyRow{4, 0, 42}));
  EXPECT_EQ(taken[0].next, (ReadyRow{4, 0, 43}));
  EXPECT_THAT(taken[1].rows, testing::IsEmpty());
  EXPECT_THAT(taken[2].rows, testing::ElementsAre(ReadyRow{2, 0, 21}, ReadyRow{2, 0, 22}));
  EXPECT_FALSE(taken[2].next);
  EXPECT_EQ(head(3), (ReadyRow{3, 0, 31})) << "a lane that was not asked for";
  store->rollback();
}

// One row may be taken away and put in the same tick: it has left its place and come back to it.
TEST_P(StoreContract, TakesAwayFirstAndPutsThen) {
  const auto jobs = new_jobs(3);
  insert(jobs);
  Changes changes;
  changes.ready_removed = {ready(jobs[0]), ready(jobs[1])};
  changes.ready = {ready(jobs[0])};
  changes.scheduled_removed = {jobs[1].id.seq()};
  changes.scheduled = {{jobs[1].id.seq(), 50, true, 0}};
  changes.deadlines_removed = {jobs[0].id.seq()};
  changes.deadlines = {{jobs[0].id.seq(), 70}};
  changes.leases_removed = {jobs[2].id};
  changes.leases = {lease_of(jobs[2])};
  const DeliveryKey key{next_id(), 1};
  changes.deliveries_removed = {key};
  changes.deliveries = {{.key = key, .due = 5}};
  tick(changes);
  store->begin();
  EXPECT_EQ(store->peek_ready(1, 9), (std::vector{ready(jobs[0]), ready(jobs[2])}));
  EXPECT_EQ(store->next_due(true), 50);
  EXPECT_EQ(store->next_deadline(), 70);
  EXPECT_EQ(store->deliveries(key.webhook, DeliveryState::pending, 0, 9).size(), 1u);
  store->rollback();
  ASSERT_EQ(reads().leases().size(), 1u);
}

TEST_P(StoreContract, FindsWhenAWaitingJobIsDue) {
  auto jobs = new_jobs(2);
  jobs[1].status.state = JobState::scheduled;
  Changes changes;
  changes.jobs = jobs;
  changes.ready = {ready(jobs[0])};
  changes.scheduled = {{jobs[1].id.seq(), now + 5, true, 6}};
  tick(changes);
  EXPECT_EQ(inside([&] { return store->scheduled_row(jobs[1].id); }), changes.scheduled[0]);
  EXPECT_FALSE(inside([&] { return store->scheduled_row(jobs[0].id); }));
}

TEST_P(StoreContract, KnowsWhatIsDue) {
  const auto jobs = new_jobs(5);
  const auto seq = [&](int i) { return jobs[std::size_t(i)].id.seq(); };
  Changes changes;
  changes.jobs = jobs;
  changes.scheduled = {
      {seq(0), 300, false, 300}, {seq(1), 100, false, 100}, {seq(2), 5'000, true, 1}, {seq(3), 4'000, true, 1}};
  tick(changes);
  store->begin();
  EXPECT_EQ(store->next_due(false), 100);
  EXPECT_EQ(store->next_due(true), 4'000);
  EXPECT_TRUE(store->due(99, 3'999, 10).empty());
  EXPECT_EQ(store->due(300, 3'999, 10), (std::vector<ScheduledRow>{changes.scheduled[1], changes.scheduled[0]}));
  EXPECT_EQ(store->due(0, 9'000, 10), (std::vector<ScheduledRow>{changes.scheduled[3], changes.scheduled[2]}));
  EXPECT_EQ(store->due(1'000, 9'000, 3).size(), 3u);
  Changes more;
  more.scheduled = {{seq(1), 700, false, 100}};  // replaces
  more.scheduled_removed = {seq(2), seq(3)};
  store->apply(more);
  EXPECT_EQ(store->next_due(false), 300);
  EXPECT_FALSE(store->next_due(true));
  store->rollback();
}

TEST_P(StoreContract, CapsWhatWasGivenAsADuration) {
  auto jobs = new_jobs(4);
  jobs[3].spec.queue_timeout = 50;
  const auto seq = [&](int i) { return jobs[std::size_t(i)].id.seq(); };
  Changes changes;
  changes.jobs = jobs;
  changes.scheduled = {{seq(0), 90'000, false, 100}, {seq(1), 1'050, false, 100}, {seq(2), 90'000, true, 100}};
  changes.deadlines = {{seq(3), 90'000}, {seq(2), 80'000}};
  tick(changes);
  store->lead(1'000);
  store->begin();
  EXPECT_EQ(store->scheduled_row(jobs[0].id)->due, 1'100);
  EXPECT_EQ(store->scheduled_row(jobs[1].id)->due, 1'050);
  EXPECT_EQ(store->scheduled_row(jobs[2].id)->due, 90'000);  // by the wall clock
  EXPECT_EQ(store->next_deadline(), 1'050);
  store->rollback();
}

TEST_P(StoreContract, KnowsDeadlinesInTheQueue) {
  Changes changes;
  changes.deadlines = {{1, 500}, {2, 400}};
  tick(changes);
  EXPECT_EQ(inside([&] { return store->next_deadline(); }), 400);
  EXPECT_EQ(inside([&] { return store->deadlines_due(499, 9); }), (std::vector<QueueDeadlineRow>{{2, 400}}));
  EXPECT_EQ(inside([&] { return store->deadlines_due(500, 9); }), (std::vector<QueueDeadlineRow>{{2, 400}, {1, 500}}));
  EXPECT_EQ(inside([&] { return store->deadlines_due(500, 1); }).size(), 1u);
  Changes removal;
  removal.deadlines_removed = {1, 2};
  tick(removal);
  EXPECT_FALSE(inside([&] { return store->next_deadline(); }));
}

TEST_P(StoreContract, AKeyIsUniqueInItsTenant) {
  auto jobs = new_jobs(2);
  jobs.push_back(new_job("other"));
  jobs[0].spec.key = jobs[2].spec.key = "k";
  insert(jobs);
  const std::vector<KeyRef> wanted{{"other", "k"}, {"acme", "absent"}, {"acme", "k"}, {"nobody", "k"}};
  const auto found = inside([&] { return store->jobs_by_key(wanted); });
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(found[0]->id, jobs[2].id);
  EXPECT_FALSE(found[1]);
  EXPECT_EQ(found[2]->id, jobs[0].id);
  EXPECT_FALSE(found[3]);
  Changes again;
  again.jobs = {new_job()};
  again.jobs[0].spec.key = "k";
  EXPECT_EQ(failure_of(again), Failure::refused);
  Changes purge;
  purge.jobs_purged = {jobs[0].id};
  tick(purge);
  tick(again);  // free again
}

TEST_P(StoreContract, RemembersListKeys) {
  ListKeyRow row{"acme", "list", "digest", {}, 5};
  for (int i = 0; i < 10'000; ++i) row.ids.push_back(next_id());
  Changes changes;
  changes.list_keys = {row, {"acme", "young", "d", {}, 50}};
  tick(changes);
  const auto found = inside([&] { return store->list_key("acme", "list"); });
  ASSERT_TRUE(found);
  EXPECT_EQ(found->ids, row.ids);
  EXPECT_EQ(found->digest, "digest");
  EXPECT_EQ(found->at, 5);
  EXPECT_FALSE(inside([&] { return store->list_key("other", "list"); }));
  store->begin();
  const auto slice = store->purge_list_keys(50, {}, 10);
  EXPECT_EQ(slice.forgotten, 1u);
  EXPECT_TRUE(slice.last);
  EXPECT_FALSE(store->list_key("acme", "list"));
  EXPECT_TRUE(store->list_key("acme", "young"));
  store->commit(2);
}

TEST_P(StoreContract, ForgetsAListsKeyOnlyWithTheLastOfItsJobs) {
  const auto jobs = new_jobs(2);
  insert(jobs);
  Changes changes;
  for (int i = 0; i < 5; ++i)  // of the same age: their order among them must not matter
    changes.list_keys.push_back({"acme", "gone" + std::to_string(i), "d", {next_id(), next_id()}, 5});
  changes.list_keys.push_back({"acme", "kept", "d", {next_id(), jobs[0].id}, 5});
  changes.list_keys.push_back({"acme", "later", "d", {jobs[1].id}, 6});
  tick(changes);
  std::size_t seen = 0, forgotten = 0;
  store->begin();
  for (Store::KeyPlace place;;) {
    const auto slice = store->purge_list_keys(50, place, 2);
    seen += slice.seen;
    forgotten += slice.forgotten;
    place = slice.next;
    if (slice.last) break;
    ASSERT_LE(seen, 7u);
  }
  EXPECT_EQ(seen, 7u);
  EXPECT_EQ(forgotten, 5u);
  EXPECT_TRUE(store->list_key("acme", "kept"));
  EXPECT_TRUE(store->list_key("acme", "later"));
  EXPECT_FALSE(store->list_key("acme", "gone4"));
  store->rollback();
}

TEST_P(StoreContract, ReadsJobsInTheOrderAskedFor) {
  const auto jobs = new_jobs(3);
  insert(jobs);
  const auto stranger = next_id();
  const auto found = inside([&] { return store->jobs(std::array{jobs[2].id, stranger, jobs[0].id}); });
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0]->id, jobs[2].id);
  EXPECT_FALSE(found[1]);
  EXPECT_EQ(found[2]->id, jobs[0].id);
  const auto by_seq = inside([&] {
    return store->jobs_by_seq(std::array{jobs[1].id.seq(), Seq(1), jobs[0].id.seq()});
  });
  EXPECT_EQ(ids_of(by_seq), (std::vector{jobs[1].id, jobs[0].id}));
}

TEST_P(StoreContract, FindsAnEndedAttemptByItsLease) {
  const auto job = new_job();
  insert({job});
  Changes changes;
  model::Attempt attempt{1,
                         "h",
                         1,
                         2,
                         3,
                         model::Outcome::failed,
                         "exit code 2",
                         model::Exit{2, {}},
                         model::Usage{0.5, 9},
                         model::Cause::outOfMemory,
                         5ll << 30};
  const auto lease = lease_of(job).name;
  changes.attempts = {{job.id, lease, attempt}, {job.id, lease_of(job).name, {2, "h2", 7}}};
  changes.leases = {lease_of(job, 3)};
  tick(changes);
  const auto found = inside([&] { return store->ended_attempt(lease); });
  ASSERT_TRUE(found);
  EXPECT_EQ(found->job, job.id);
  EXPECT_EQ(found->lease, lease);
  EXPECT_EQ(found->attempt.outcome, model::Outcome::failed);
  EXPECT_EQ(found->attempt.exit, attempt.exit);
  EXPECT_EQ(found->attempt.cause, attempt.cause);
  EXPECT_EQ(found->attempt.usage, attempt.usage);
  EXPECT_EQ(found->attempt.memory, attempt.memory);
  EXPECT_FALSE(inside([&] { return store->ended_attempt(Uuid{job.id.high, 5}); }));
  const auto all = reads().attempts(job.id);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].error, "exit code 2");
  EXPECT_EQ(all[0].started_at, 2);
  EXPECT_EQ(all[1].host, "h2");
  EXPECT_EQ(all[2].attempt, 3);
}

TEST_P(StoreContract, SlicesGoOnWhileRowsChange) {
  const auto jobs = new_jobs(10);
  insert(jobs);
  const auto late = new_job();
  insert({late});
  const JobFilter filter{.tenants = {"acme"}};
  const Seq bound = jobs[9].id.seq();
  store->begin();
  auto slice = store->slice(filter, 0, bound, 4);
  EXPECT_EQ(slice.ids, (std::vector{jobs[0].id, jobs[1].id, jobs[2].id, jobs[3].id}));
  EXPECT_EQ(slice.cursor, jobs[3].id.seq());
  EXPECT_FALSE(slice.last);
  Changes changes;
  changes.jobs_purged = {jobs[3].id, jobs[4].id};  // the cursor's own row too
  store->apply(changes);
  slice = store->slice(filter, slice.cursor, bound, 4);
  EXPECT_EQ(slice.ids, (std::vector{jobs[5].id, jobs[6].id, jobs[7].id, jobs[8].id}));
  EXPECT_FALSE(slice.last);
  slice = store->slice(filter, slice.cursor, bound, 4);
  EXPECT_EQ(slice.ids, std::vector{jobs[9].id});  // not the one submitted later
  EXPECT_TRUE(slice.last);
  slice = store->slice(filter, bound, bound, 4);
  EXPECT_TRUE(slice.ids.empty() && slice.last);
  store->rollback();
}

TEST_P(StoreContract, ASliceLooksAtSoManyRowsOnly) {
  auto jobs = new_jobs(9);
  jobs[7].spec.type = "Rare";
  insert(jobs);
  const JobFilter filter{.type = "Rare"};
  store->begin();
  auto slice = store->slice(filter, 0, jobs[8].id.seq(), 5);
  EXPECT_TRUE(slice.ids.empty());
  EXPECT_EQ(slice.cursor, jobs[4].id.seq());
  slice = store->slice(filter, slice.cursor, jobs[8].id.seq(), 5);
  EXPECT_EQ(slice.ids, std::vector{jobs[7].id});
  EXPECT_TRUE(slice.last);
  store->rollback();
}

TEST_P(StoreContract, FindsWhatRetentionMayDrop) {
  auto jobs = new_jobs(4);
  jobs.push_back(new_job("other"));
  insert(jobs);
  Changes changes;
  changes.updates = {ended(jobs[0], JobState::finished, 30), ended(jobs[1], JobState::finished, 10),
                     ended(jobs[2], JobState::failed, 10), ended(jobs[4], JobState::finished, 20)};
  tick(changes);
  store->begin();
  const auto before = [&](JobState state, Millis at, const std::string& tenant, std::vector<std::string> except,
                          std::size_t max = 9) { return store->ended_before(state, at, tenant, except, max); };
  EXPECT_EQ(before(JobState::finished, 31, "", {}), (std::vector{jobs[1].id, jobs[4].id, jobs[0].id}));
  EXPECT_EQ(before(JobState::finished, 31, "", {}, 1), std::vector{jobs[1].id});
  EXPECT_EQ(before(JobState::finished, 30, "", {"other"}), std::vector{jobs[1].id});
  EXPECT_EQ(before(JobState::finished, 31, "other", {}), std::vector{jobs[4].id});
  EXPECT_EQ(before(JobState::failed, 11, "acme", {}), std::vector{jobs[2].id});
  EXPECT_TRUE(before(JobState::cancelled, 99, "", {}).empty());
  store->rollback();
}

TEST_P(StoreContract, PurgesAJobWithAllThatIsItsOwn) {
  auto job = new_job(), other = new_job();
  const std::string blob(64, 'a'), artifact(64, 'b');
  job.spec.inputs = other.spec.inputs = {{"in", blob}};
  insert({job, other});
  Changes changes;
  changes.updates = {ended(job, JobState::finished, now)};
  changes.ready_removed = {ready(job)};
  changes.attempts = {{job.id, lease_of(job).name, {1, "h", 1}}};
  changes.files = {{job.id, "acme", {"out.png", 12, artifact}}};
  changes.events = {event(1, job.id), event(2, other.id)};
  tick(changes);
  ASSERT_EQ(reads().files(job.id).size(), 1u);
  EXPECT_EQ(reads().files(job.id)[0].sha256, artifact);
  EXPECT_TRUE(reads().blob_named("acme", artifact) && reads().blob_named("acme", blob));
  EXPECT_FALSE(reads().blob_named("other", artifact));
  Changes purge;
  purge.jobs_purged = {job.id};
  tick(purge);
  EXPECT_FALSE(reads().job(job.id));
  EXPECT_TRUE(reads().attempts(job.id).empty() && reads().files(job.id).empty());
  EXPECT_FALSE(reads().blob_named("acme", artifact));
  EXPECT_TRUE(reads().blob_named("acme", blob));  // the other job's too
  EXPECT_EQ(reads().events(0, 10).size(), 2u);    // events have a time of their own
  EXPECT_EQ(store->load().last_id, other.id.high);
  purge.jobs_purged = {other.id, job.id};
  tick(purge);
  EXPECT_FALSE(reads().blob_named("acme", blob));
  EXPECT_EQ(store->load().last_id, other.id.high);  // never given again
}

TEST_P(StoreContract, AnEventFromTheFutureKeepsNoneBeforeAndBehindIt) {
  Changes changes;
  for (int no = 1; no <= 10; ++no) changes.events.push_back(event(no, next_id()));
  for (int i = 0; i < 10; ++i) changes.events[std::size_t(i)].at = i == 0 || i == 3 ? 9'000 : 100 + i;
  tick(changes);
  EXPECT_EQ(store->load().last_event_at, 109);
  store->begin();
  EXPECT_EQ(store->purge_events(0, 106, 1'000, 100), 6u);
  store->commit(2);
  EXPECT_EQ(reads().event_range(), std::pair(EventNo(7), EventNo(10)));
}

TEST_P(StoreContract, PurgesEventsFromTheFront) {
  Changes changes;
  for (int no = 1; no <= 10; ++no) changes.events.push_back(event(no, next_id()));
  for (int i = 0; i < 10; ++i) changes.events[std::size_t(i)].at = 100 + i;
  tick(changes);
  store->begin();
  EXPECT_EQ(store->purge_events(4, 0, 1'000, 100), 3u);
  EXPECT_EQ(store->purge_events(0, 106, 1'000, 2), 2u);
  EXPECT_EQ(store->purge_events(0, 106, 1'000, 100), 1u);
  EXPECT_EQ(store->purge_events(0, 0, 1'000, 100), 0u);
  store->commit(2);
  EXPECT_EQ(reads().event_range(), std::pair(EventNo(7), EventNo(10)));
  store->begin();
  EXPECT_EQ(store->purge_events(99, 0, 1'000, 100), 4u);
  store->commit(3);
  EXPECT_EQ(reads().event_range(), std::pair(EventNo(0), EventNo(0)));
  reopen();
  EXPECT_EQ(store->load().last_event, 10);
}

TEST_P(StoreContract, KnowsATokensNameUntilItExpires) {
  Changes changes;
  changes.tokens = {{next_id(), "ci", "1", {}, {"acme", "other"}, now + 1'000}, {next_id(), "ops", "2", {}, {}}};
  tick(changes);
  const auto named = [&](const char* name, const std::vector<std::string>& tenants, Millis at) {
    return inside([&] { return store->token_named(name, tenants, at); });
  };
  EXPECT_TRUE(named("ci", {"acme", "other"}, now));
  EXPECT_FALSE(named("ci", {"acme", "other"}, now + 1'000));
  EXPECT_FALSE(named("ci", {"acme"}, now));
  EXPECT_FALSE(named("ci", {}, now));
  EXPECT_TRUE(named("ops", {}, now));
}

TEST_P(StoreContract, APackageIsInUseUntilItsJobsEnd) {
  auto jobs = new_jobs(2);
  const std::string digest(64, 'e');
  for (auto& job : jobs) job.spec.package = "p", job.spec.package_sha256 = digest;
  insert(jobs);
  const auto used = [&] { return inside([&] { return store->package_in_use("acme", digest); }); };
  EXPECT_TRUE(used());
  EXPECT_FALSE(inside([&] { return store->package_in_use("other", digest); }));
  Changes changes;
  changes.updates = {ended(jobs[0], JobState::finished, now)};
  tick(changes);
  tick(changes);  // a second write of an ended job changes nothing
  EXPECT_TRUE(used());
  changes.updates = {ended(jobs[1], JobState::cancelled, now)};
  tick(changes);
  EXPECT_FALSE(used());
}

}  // namespace geres::hub::store::contract
