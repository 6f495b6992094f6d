// SPDX-License-Identifier: Apache-2.0
// What any store must do, part three: everybody else's reads.
#pragma once

#include <atomic>
#include <set>

#include "hub/store/store_fixture.h"

namespace geres::hub::store::contract {

using model::JobState;

// Eight jobs that differ in all that a filter can ask for.
class StoreFilters : public StoreContract {
 protected:
  StoreFilters() {
    Changes changes;
    batch = next_id();
    for (int i = 0; i < 8; ++i) jobs.push_back(new_job(i % 2 == 0 ? "acme" : "other", i < 4 ? "Resize" : "Crop"));
    jobs[2].spec.batch = jobs[3].spec.batch = jobs[6].spec.batch = batch;
    jobs[1].spec.name = "holiday";
    jobs[3].spec.tags = {{"colour", "red"}, {"q\"uote", "{\"a\":1}"}};
    jobs[4].spec.tags = {{"colour", "red"}};
    jobs[5].spec.tags = {{"colour", "green"}};
    jobs[5].status.state = JobState::scheduled;
    jobs[6].status.state = JobState::failed;
    jobs[6].status.reason = model::Reason::timeout;
    jobs[6].status.host = "worker-2";
    jobs[7].status.state = JobState::cancelled;
    changes.lanes = {{1, {{}, "acme", "Resize", false, {}}}, {2, {batch, "acme", "Resize", false, {}}}};
    changes.ready = {{1, 900, jobs[0].id.seq()}, {1, 0, jobs[4].id.seq()}, {2, 0, jobs[2].id.seq()}};
    changes.scheduled = {{jobs[5].id.seq(), now, false, 1}};
    changes.leases = {lease_of(jobs[1]), lease_of(jobs[3])};  // leased and running
    changes.leases[1].started_at = now;
    changes.jobs = jobs;
    tick(changes);
  }

  // The numbers of the jobs that fit, by every verb that takes a filter.
  std::set<int> fitting(const JobFilter& filter) {
    const auto listed = reads().jobs(filter, {.limit = 100, .ascending = true}).jobs;
    const auto backwards = reads().jobs(filter, {.limit = 100}).jobs;
    const auto slice = inside([&] { return store->slice(filter, 0, jobs.back().id.seq(), 100); });
    EXPECT_EQ(slice.ids, ids_of(listed));
    EXPECT_TRUE(slice.last);
    std::vector<Uuid> in_memory;
    for (const auto& job : jobs)
      if (const auto now = reads().job(job.id); now && matches(filter, *now)) in_memory.push_back(job.id);
    EXPECT_EQ(slice.ids, in_memory) << "memory and store differ on what a filter means";
    EXPECT_EQ(reads().count(filter).count, std::int64_t(listed.size()));
    EXPECT_EQ(backwards.size(), listed.size());
    std::set<int> numbers;
    for (std::size_t at = 0; at < listed.size(); ++at) {
      EXPECT_EQ(backwards[listed.size() - 1 - at].id, listed[at].id);
      for (std::size_t i = 0; i < jobs.size(); ++i)
        if (jobs[i].id == listed[at].id) numbers.insert(int(i));
    }
    EXPECT_EQ(numbers.size(), listed.size());
    return numbers;
  }

  Uuid batch;
  std::vector<model::Job> jobs;
};

using Numbers = std::set<int>;

TEST_P(StoreFilters, ByTenant) {
  EXPECT_EQ(fitting({}), (Numbers{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(fitting({.tenants = {"acme"}}), (Numbers{0, 2, 4, 6}));
  EXPECT_EQ(fitting({.tenants = {"acme", "other"}}), (Numbers{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(fitting({.tenants = {"absent"}}), Numbers{});
  EXPECT_EQ(fitting({.tenants = {"absent", "oth"}}), Numbers{});
}

TEST_P(StoreFilters, ByBatch) {
  EXPECT_EQ(fitting({.batch = batch}), (Numbers{2, 3, 6}));
  EXPECT_EQ(fitting({.tenants = {"other"}, .batch = batch}), Numbers{3});
  EXPECT_EQ(fitting({.batch = model::kDefaultBatch}), (Numbers{0, 1, 4, 5, 7}));
  EXPECT_EQ(fitting({.batch = next_id()}), Numbers{});
}

TEST_P(StoreFilters, ByState) {
  EXPECT_EQ(fitting({.states = {JobState::ready}}), (Numbers{0, 2, 4}));
  EXPECT_EQ(fitting({.states = {JobState::leased}}), Numbers{1});
  EXPECT_EQ(fitting({.states = {JobState::running}}), Numbers{3});
  EXPECT_EQ(fitting({.states = {JobState::scheduled}}), Numbers{5});
  EXPECT_EQ(fitting({.states = {JobState::blocked}}), Numbers{});
  EXPECT_EQ(fitting({.states = {JobState::failed}}), Numbers{6});
  EXPECT_EQ(fitting({.states = {JobState::failed, JobState::cancelled}}), (Numbers{6, 7}));
  EXPECT_EQ(fitting({.states = {JobState::finished}}), Numbers{});
  EXPECT_EQ(fitting({.states = {JobState::ready, JobState::running, JobState::failed}}), (Numbers{0, 2, 3, 4, 6}));
  EXPECT_EQ(fitting({.states = {JobState::ready, JobState::leased, JobState::running, JobState::scheduled}}),
            (Numbers{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(fitting({.tenants = {"other"}, .states = {JobState::leased, JobState::running}}), (Numbers{1, 3}));
  EXPECT_EQ(fitting({.batch = batch, .states = {JobState::failed}}), Numbers{6});
  EXPECT_EQ(fitting({.tenants = {"acme"}, .states = {JobState::cancelled}}), Numbers{});
}

TEST_P(StoreFilters, ByWhatTheJobIs) {
  EXPECT_EQ(fitting({.type = "Crop"}), (Numbers{4, 5, 6, 7}));
  EXPECT_EQ(fitting({.name = "holiday"}), Numbers{1});
  EXPECT_EQ(fitting({.host = "worker-1"}), (Numbers{1, 3}));
  EXPECT_EQ(fitting({.host = "worker-2"}), Numbers{6});
  EXPECT_EQ(fitting({.tags = {{"colour", "red"}}}), (Numbers{3, 4}));
  EXPECT_EQ(fitting({.tags = {{"colour", "red"}, {"q\"uote", "{\"a\":1}"}}}), Numbers{3});
  EXPECT_EQ(fitting({.tags = {{"colour", ""}}}), Numbers{});
  EXPECT_EQ(fitting({.tags = {{"$.colour", "red"}}}), Numbers{});
  EXPECT_EQ(fitting({.reason = model::Reason::timeout}), Numbers{6});
  EXPECT_EQ(fitting({.reason = model::Reason::poison}), Numbers{});
  EXPECT_EQ(fitting({.ids = {jobs[3].id, next_id(), jobs[7].id, {jobs[0].id.high, 5}}}), (Numbers{3, 7}));
  EXPECT_EQ(fitting({.tenants = {"acme"}, .ids = {jobs[0].id, jobs[1].id}}), Numbers{0});
}

TEST_P(StoreFilters, ByTimeOfSubmission) {
  const auto at = [&](int i) { return jobs[std::size_t(i)].status.submitted_at; };
  EXPECT_EQ(fitting({.submitted_after = at(3)}), (Numbers{3, 4, 5, 6, 7}));
  EXPECT_EQ(fitting({.submitted_before = at(3)}), (Numbers{0, 1, 2}));
  EXPECT_EQ(fitting({.submitted_after = at(2), .submitted_before = at(5)}), (Numbers{2, 3, 4}));
  EXPECT_EQ(fitting({.tenants = {"other"}, .submitted_after = at(5)}), (Numbers{5, 7}));
}

// Ids ascend where the clock goes back.
TEST_P(StoreFilters, ByTimeOfSubmissionWhereTheClockWentBack) {
  Changes changes;
  changes.jobs.push_back(new_job("acme", "Resize"));
  changes.jobs[0].status.submitted_at = jobs[1].status.submitted_at;
  jobs.push_back(changes.jobs[0]);
  jobs.push_back(new_job("acme", "Resize"));
  changes.jobs.push_back(jobs.back());
  tick(changes);
  EXPECT_EQ(fitting({.submitted_before = jobs[2].status.submitted_at}), (Numbers{0, 1, 8}));
}

// Old jobs, and none, are found without a look at each newer one.
TEST_P(StoreFilters, ByTimeOfSubmissionLooksAtNoJobThatIsNewer) {
  const auto oldest = jobs[0].status.submitted_at;
  for (const Millis before : {Millis(1), oldest}) {
    const auto page = reads().jobs({.submitted_before = before}, {.limit = 2, .looked_max = 1});
    EXPECT_TRUE(page.jobs.empty());
    EXPECT_EQ(page.next, 0);
  }
}

// Wherever a page stops (full, enough looked at, too large): the pages together are all that fits, each once, in order.
TEST_P(StoreFilters, PagesBothWaysInPieces) {
  for (const JobFilter& filter :
       {JobFilter{}, JobFilter{.tenants = {"acme"}}, JobFilter{.batch = batch}, JobFilter{.states = {JobState::ready}},
        JobFilter{.states = {JobState::failed}}, JobFilter{.tags = {{"colour", "red"}}}, JobFilter{.name = "nobody's"},
        JobFilter{.tenants = {"acme", "other"}}, JobFilter{.reason = model::Reason::timeout}}) {
    for (const bool ascending : {true, false}) {
      const auto all = reads().jobs(filter, {.limit = 100, .ascending = ascending});
      EXPECT_EQ(all.next, 0);
      for (const std::size_t looked_max : {0, 1, 3, 100}) {
        for (const std::size_t bytes_max : {0, 1, 2'000}) {
          std::vector<Uuid> paged;
          Page page{.limit = 2, .ascending = ascending, .looked_max = looked_max, .bytes_max = bytes_max};
          int pages = 0;
          do {
            const auto part = ids_of(reads().jobs(filter, page).jobs);
            page.after = reads().jobs(filter, page).next;
            EXPECT_LE(part.size(), bytes_max == 1 ? 1u : 2u);
            paged.insert(paged.end(), part.begin(), part.end());
          } while (page.after != 0 && ++pages < 100);
          EXPECT_EQ(paged, ids_of(all.jobs)) << looked_max << " " << bytes_max;
          Page counting{.ascending = ascending, .looked_max = looked_max};
          std::int64_t count = 0, failed = 0;
          do {
            const auto part = reads().count(filter, counting);
            count += part.count;
            for (const auto& [reason, n] : part.by_reason) failed += n;
            counting.after = part.next;
          } while (counting.after != 0);
          EXPECT_EQ(count, std::int64_t(all.jobs.size()));
          EXPECT_EQ(failed, std::count_if(all.jobs.begin(), all.jobs.end(),
                                          [](const model::Job& job) { return job.status.state == JobState::failed; }));
        }
      }
    }
  }
}

TEST_P(StoreFilters, ALongWalkStopsWhereItIsTold) {
  const auto part = reads().jobs({.name = "nobody's"}, {.ascending = true, .looked_max = 3});
  EXPECT_TRUE(part.jobs.empty());
  EXPECT_EQ(part.next, jobs[2].id.seq());
}

TEST_P(StoreFilters, FindsTheOldestThatWaits) {
  const ReadyRow late{1, 0, jobs[4].id.seq()}, other{2, 0, jobs[2].id.seq()}, gone{2, 0, 1};
  const auto oldest = [&](std::vector<ReadyRow> first, std::vector<LaneNo> lanes) {
    const auto job = reads().oldest_ready(std::move(first), lanes);
    return job ? job->id : Uuid{};
  };
  EXPECT_EQ(oldest({}, {1, 2}), jobs[0].id) << "of all priorities, not of the first";
  EXPECT_EQ(oldest({}, {2}), jobs[2].id);
  EXPECT_EQ(oldest({late, other}, {}), jobs[2].id) << "first rows are believed";
  EXPECT_EQ(oldest({late}, {2}), jobs[2].id);
  EXPECT_EQ(oldest({other}, {1}), jobs[0].id);
  EXPECT_EQ(oldest({late, gone}, {}), jobs[2].id) << "for a row that is gone its lane is looked at";
  EXPECT_EQ(oldest({}, {3}), Uuid{});
  EXPECT_EQ(oldest({}, {}), Uuid{});
}

TEST_P(StoreFilters, CountsFailuresByReason) {
  using Counts = std::map<model::Reason, std::int64_t>;
  Changes changes;
  changes.dead_letters = {{"acme", model::Reason::timeout, 3},
                          {"acme", model::Reason::poison, 1},
                          {"acme", model::Reason::timeout, -1},
                          {"other", model::Reason::timeout, 5},
                          {"third", model::Reason::error, 1}};
  tick(changes);
  changes.dead_letters = {{"third", model::Reason::error, -1}};
  tick(changes);
  EXPECT_EQ(reads().dead_letters({}), (Counts{{model::Reason::timeout, 7}, {model::Reason::poison, 1}}));
  EXPECT_EQ(reads().dead_letters({"acme"}), (Counts{{model::Reason::timeout, 2}, {model::Reason::poison, 1}}));
  EXPECT_EQ(reads().dead_letters({"third", "nobody"}), Counts{});
}

TEST_P(StoreContract, CountsEndsByMinuteAndLeavesOutWhatWasRunAgain) {
  auto job = new_job("acme");
  job.status.state = model::JobState::failed;
  job.status.finished_at = 120'000;
  auto again = new_job("acme");
  again.status = job.status;
  again.status.redriven_as = job.id;
  auto early = new_job("other");
  early.status = job.status;
  early.status.finished_at = 59'999;
  insert({job, again, early});
  const auto counts = reads().ended_since(60'000);
  ASSERT_EQ(counts.size(), 1u);
  EXPECT_EQ(counts[0].tenant, "acme");
  EXPECT_EQ(counts[0].state, model::JobState::failed);
  EXPECT_EQ(counts[0].minute, 2);
  EXPECT_EQ(counts[0].count, 2);
  JobFilter filter;
  EXPECT_EQ(reads().count(filter).count, 3);
  filter.redrivable = true;
  EXPECT_EQ(reads().count(filter).count, 2);
  Changes changes;
  early.status.settled_at = 70'000;
  changes.updates = {{early.id, early.status}};
  tick(changes);
  EXPECT_EQ(reads().count(filter).count, 1) << "what is settled is not run again with others";
  filter = {.open = true};
  EXPECT_EQ(reads().count(filter).count, 2);
  filter.states = {JobState::failed};
  EXPECT_EQ(reads().jobs(filter, {}).jobs.size(), 2u);
}

TEST_P(StoreContract, FindsIdsByTheirEnds) {
  const auto make = [&](std::uint64_t high, std::uint64_t low, const std::string& tenant) {
    auto job = new_job(tenant);
    job.id = {high, low};
    return job;
  };
  const auto a = make(0x0192f0c47d3a7001, 0x8f2e0123456789ab, "acme"),
             b = make(0x0192f0c47d3a7002, 0xbf2e0123456789ab, "other"),
             c = make(0x0192f0c57d3a7001, 0x8f2e000000000001, "acme");
  insert({a, b, c});
  using Ids = std::vector<Uuid>;
  EXPECT_EQ(reads().ids_like("0192f0c4", {}, 9), (Ids{b.id, a.id}));
  EXPECT_EQ(reads().ids_like("0192f0c4", {"acme"}, 9), Ids{a.id});
  EXPECT_EQ(reads().ids_like("0192f0c4", {"acme", "other"}, 9), (Ids{b.id, a.id}));
  EXPECT_EQ(reads().ids_like("0192f0c4", {}, 1), Ids{b.id});
  EXPECT_EQ(reads().ids_like("6789AB", {}, 9), (Ids{b.id, a.id}));
  EXPECT_EQ(reads().ids_like("6789ab", {"other"}, 9), Ids{b.id});
  EXPECT_EQ(reads().ids_like("0192f0c47d3a70018f2e", {}, 9), Ids{a.id});
  EXPECT_EQ(reads().ids_like("0192f0c47d3a7001bf2e", {}, 9), Ids{});
  EXPECT_EQ(reads().ids_like("70018f2e000000000001", {}, 9), Ids{c.id});
  EXPECT_EQ(reads().ids_like("0192f0c57d3a70018f2e000000000001", {}, 9), Ids{c.id});
  EXPECT_EQ(reads().ids_like("1", {}, 9), Ids{c.id});
  EXPECT_EQ(reads().ids_like("f", {}, 9), Ids{});
  EXPECT_EQ(reads().ids_like("0192-f0", {}, 9), Ids{});
  EXPECT_EQ(reads().ids_like(std::string(33, '0'), {}, 9), Ids{});
}

TEST_P(StoreContract, KeepsEventsInOrder) {
  const auto job = new_job(), other = new_job();
  insert({job, other});
  Changes changes;
  changes.events = {event(1, job.id), event(2, other.id), event(3, job.id, EventType::job_finished)};
  changes.events[0].batch = next_id();
  changes.events[2].data = JobEvent{model::JobState::failed, 7, 2, FailedForGood{model::Reason::error, {{1, 0, "ü"}}}};
  changes.events[2].tenant = "";
  tick(changes);
  const auto all = reads().events(0, 10);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].batch, changes.events[0].batch);
  EXPECT_EQ(all[0].tenant, "acme");
  EXPECT_EQ(all[0].at, changes.events[0].at);
  EXPECT_EQ(all[1].batch, Uuid{});
  EXPECT_EQ(all[1].subject, other.id);
  EXPECT_EQ(all[2].data, changes.events[2].data);
  EXPECT_EQ(all[2].type, EventType::job_finished);
  EXPECT_EQ(all[2].tenant, "");
  EXPECT_EQ(reads().events(1, 1).at(0).no, 2);
  EXPECT_TRUE(reads().events(3, 10).empty());
  const auto of_job = reads().job_events(job.id, 0, 10);
  ASSERT_EQ(of_job.size(), 2u);
  EXPECT_EQ(of_job[1].no, 3);
  EXPECT_EQ(reads().job_events(job.id, 1, 10).size(), 1u);
  EXPECT_EQ(reads().job_events(job.id, 0, 1).size(), 1u);
  EXPECT_TRUE(reads().job_events(Uuid{job.id.high, 1}, 0, 10).empty());
  EXPECT_EQ(reads().event_range(), std::pair(EventNo(1), EventNo(3)));
}

TEST_P(StoreContract, FindsBatchesByNameAndPagesThem) {
  Changes changes;
  const Uuid a = next_id(), b = next_id(), c = next_id(), d = next_id();
  changes.batches = {{a, "acme", "nightly"}, {b, "other", "nightly"}, {c, "", "nightly"}, {d, "acme", "daily"}};
  changes.batches[3].state = model::BatchState::closed;
  changes.counts = {{a, "acme", JobState::ready, 3}, {d, "acme", JobState::finished, 2}};
  tick(changes);
  const auto found = [&](const BatchFilter& filter, std::optional<Uuid> after = {}, std::size_t max = 100) {
    std::vector<Uuid> ids;
    for (const auto& stored : reads().batches(filter, after, max)) ids.push_back(stored.batch.id);
    return ids;
  };
  using Ids = std::vector<Uuid>;
  EXPECT_EQ(found({}), (Ids{model::kDefaultBatch, a, b, c, d}));
  EXPECT_EQ(found({.tenants = {"acme"}}), (Ids{model::kDefaultBatch, a, c, d}));
  EXPECT_EQ(found({.name = "nightly"}), (Ids{a, b, c}));
  EXPECT_EQ(found({.tenants = {"other"}, .name = "nightly"}), (Ids{b, c}));
  EXPECT_EQ(found({.name = "batch0"}), Ids{model::kDefaultBatch});
  EXPECT_EQ(found({.state = model::BatchState::closed}), Ids{d});
  EXPECT_EQ(found({.name = "absent"}), Ids{});
  EXPECT_EQ(found({}, {}, 2), (Ids{model::kDefaultBatch, a}));
  EXPECT_EQ(found({}, a, 2), (Ids{b, c}));
  EXPECT_EQ(found({.name = "nightly"}, b), Ids{c});
  EXPECT_EQ(found({}, d), Ids{});
  EXPECT_EQ(reads().batch(a)->counts.at("acme")[std::size_t(JobState::ready)], 3);
  EXPECT_EQ(reads().batch(d)->batch.name, "daily");
  EXPECT_FALSE(reads().batch(next_id()));
}

TEST_P(StoreContract, SumsUpCounts) {
  const auto batch = next_id();
  Changes changes;
  changes.batches = {{batch, "acme", "nightly"}};
  changes.counts = {{batch, "acme", JobState::ready, 3},    {batch, "acme", JobState::ready, -1},
                    {batch, "acme", JobState::finished, 1}, {batch, "other", JobState::ready, 5},
                    {batch, "acme", JobState::ready, 10},   {model::kDefaultBatch, "acme", JobState::ready, 1}};
  tick(changes);
  changes.batches.clear();
  tick(changes);
  const auto ready_at = std::size_t(JobState::ready), finished_at = std::size_t(JobState::finished);
  const auto stored = reads().batch(batch);
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->batch.name, "nightly");
  EXPECT_EQ(stored->counts.at("acme")[ready_at], 24);
  EXPECT_EQ(stored->counts.at("acme")[finished_at], 2);
  EXPECT_EQ(stored->counts.at("other")[ready_at], 10);
  EXPECT_EQ(reads().batch(model::kDefaultBatch)->counts.at("acme")[ready_at], 2);
  EXPECT_EQ(reads().batches({}, {}, 100).size(), 2u);
  EXPECT_FALSE(reads().batch(next_id()));
  EXPECT_EQ(reads().totals().by_tenant.at("acme")[ready_at], 26);
  EXPECT_EQ(store->load().counts.size(), 3u);
  Changes removal;
  removal.counts = {{batch, "acme", JobState::ready, -1}};
  removal.batches_removed = {batch};
  tick(removal);
  EXPECT_FALSE(reads().batch(batch)) << "with what it counted in the same commit";
  EXPECT_EQ(store->load().counts.size(), 1u);
  EXPECT_EQ(store->load().batches.size(), 0u);
}

TEST_P(StoreContract, KeepsAChangedBatch0) {
  Changes changes;
  changes.batches = {{model::kDefaultBatch, "", "batch0", model::kDefaultBatchPriority}};
  changes.batches[0].paused = true;
  tick(changes);
  ASSERT_EQ(reads().batches({}, {}, 100).size(), 1u);
  EXPECT_TRUE(reads().batches({}, {}, 100)[0].batch.paused);
  reopen();
  ASSERT_EQ(store->load().batches.size(), 1u);
  EXPECT_TRUE(store->load().batches[0].paused);
}

TEST_P(StoreContract, ReadersSeeOneStateWhileTheWriterWrites) {
  if (!GetParam().threads) GTEST_SKIP();
  std::atomic<bool> stop = false;
  std::atomic<int> looks = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 6; ++i)  // more than there are connections
    readers.emplace_back([&] {
      while (!stop) {
        // Both were written in one tick, again and again.
        const auto events = std::int64_t(reads().events(0, 1'000'000).size());
        const auto jobs = reads().count({}).count;
        EXPECT_GE(jobs, events);  // the second read may see more, never less
        ++looks;
      }
    });
  for (int i = 1; i <= 200 || (looks < 50 && i < 5'000); ++i) {
    Changes changes;
    changes.jobs = {new_job()};
    changes.events = {event(i, changes.jobs[0].id)};
    tick(changes);
  }
  stop = true;
  for (auto& reader : readers) reader.join();
  EXPECT_GT(reads().size_bytes(), 0);
}

}  // namespace geres::hub::store::contract
