// SPDX-License-Identifier: Apache-2.0
// Notifications and waits for many: nothing is missed, nothing told twice, whatever the connection and the hub do.
#include "client/client_fixture.h"

namespace geres::client {
namespace {

class EventsTest : public ClientTest {
 protected:
  static std::vector<std::string> life_of(const std::string& id) {
    return {"started " + id, "progressed " + id + " 40", "finished " + id};
  }
  void live_one() {
    const auto lease = start_next();
    progress(lease, 40);
    finish(lease);
  }
};

TEST_F(EventsTest, ASubscriptionMadeBeforeTheJobMissesNothing) {
  Heard heard;
  const auto subscription = client->subscribe_to_tenant("ours", heard.handlers());
  const auto job = client->submit(work());
  live_one();
  EXPECT_EQ(heard.wait_for(3), life_of(job.id));
  EXPECT_FALSE(subscription.position().empty());
}

TEST_F(EventsTest, AJobThatHasEndedIsToldAtOnce) {
  const auto job = client->submit(work());
  run_next();
  Heard heard;
  const auto subscription = client->subscribe_to_job(job.id, heard.handlers());
  EXPECT_THAT(heard.wait_for(2), ElementsAre("started " + job.id, "finished " + job.id));
}

TEST_F(EventsTest, AJobThatRunsIsToldAtOnceAndItsEndLater) {
  const auto job = client->submit(work());
  const auto lease = start_next();
  Heard heard;
  const auto subscription = client->subscribe_to_job(job.id, heard.handlers());
  EXPECT_THAT(heard.wait_for(1), ElementsAre("started " + job.id));
  finish(lease);
  EXPECT_THAT(heard.wait_for(2), ElementsAre("started " + job.id, "finished " + job.id));
}

TEST_F(EventsTest, FollowsABatchAndItsRawEvents) {
  client->create_batch({.name = "night"});
  Heard heard;
  auto handlers = heard.handlers();
  handlers.on_event = [&](const Event& event) { heard.add(event.type); };
  const auto subscription = client->subscribe_to_batch("night", handlers);
  client->submit(work("elsewhere"));
  const auto job = client->submit({.type = "Work", .batch = "night"});
  client->cancel(job.id);
  client->close_batch("night");
  EXPECT_THAT(heard.wait_for(5), ElementsAre("geres.job.submitted", "geres.job.cancelled", "cancelled " + job.id,
                                             "geres.batch.closed", "geres.batch.completed"));
}

TEST_F(EventsTest, GoesOnThroughBrokenConnectionsAndARestart) {
  Heard heard;
  const auto subscription = client->subscribe_to_tenant("ours", heard.handlers());
  std::vector<std::string> expected;
  const auto live = [&] {
    const auto life = life_of(client->submit(work()).id);
    live_one();
    expected.insert(expected.end(), life.begin(), life.end());
  };
  live();
  relay.cut();
  live();
  stop_hub();
  start_hub();
  live();
  relay.cut();
  relay.cut();
  live();
  EXPECT_EQ(heard.wait_for(expected.size()), expected);
}

TEST_F(EventsTest, GoesOnWhereAnEarlierOneWas) {
  Heard first;
  std::string position;
  {
    auto subscription = client->subscribe_to_tenant("ours", first.handlers());
    client->submit(work());
    live_one();
    first.wait_for(3);
    subscription.stop();
    position = subscription.position();
  }
  const auto second = client->submit(work());
  live_one();
  Heard heard;
  const auto subscription = client->subscribe({.tenants = {"ours"}, .after = position}, heard.handlers());
  EXPECT_EQ(heard.wait_for(3), life_of(second.id));
  Heard all;
  const auto everything = client->subscribe({.tenants = {"ours"}, .after = "start"}, all.handlers());
  EXPECT_THAT(all.wait_for(6), SizeIs(6));
}

TEST_F(EventsTest, AGapIsTold) {
  const auto job = client->submit(work());
  run_next();
  Heard heard;
  const auto subscription = client->subscribe({.after = "0123456789abcdef-17"}, heard.handlers());
  EXPECT_THAT(heard.wait_for(3), ElementsAre("gap", "started " + job.id, "finished " + job.id));
}

TEST_F(EventsTest, WhatCannotBeSubscribedToIsRefused) {
  EXPECT_THROW(client->subscribe_to_job("0192f0c4-7d3a-7001-8f2e-0123456789ab", {}), NotFound);
  EXPECT_THROW(client->subscribe_to_batch("absent", {}), NotFound);
  EXPECT_THROW(client->subscribe({.types = {"geres.job.exploded"}}, {}), Refused);
  Client other(options_of(theirs));
  const auto job = client->submit(work());
  EXPECT_THROW(other.subscribe_to_job(job.id, {}), NotFound);
}

TEST_F(EventsTest, ATokenThatIsTakenBackEndsIt) {
  const auto made = admin.post("/v1/tokens", R"({"name":"short","roles":["submitter"],"tenants":["ours"]})");
  Client brief(options_of(admin.as(made.text("token"))));
  Heard heard;
  const auto subscription = brief.subscribe_to_tenant("ours", heard.handlers());
  EXPECT_EQ(admin.call("DELETE", "/v1/tokens/" + made.text("id")).status, 204);
  relay.cut();
  EXPECT_THAT(heard.wait_for(1), ElementsAre("ended unauthenticated"));
}

TEST_F(EventsTest, ASlowHandlerLosesNothing) {
  std::promise<void> gate;
  const auto open = gate.get_future().share();
  Heard heard;
  Handlers slow;
  slow.on_event = [&](const Event& event) {
    open.wait();
    heard.add(event.subject);
  };
  const auto subscription = client->subscribe({.types = {"geres.job.submitted"}}, slow);
  std::vector<std::string> ids;
  for (int i = 0; i < 4; ++i)
    for (const auto& id : client->submit(std::vector<JobSpec>(2'000, work()))) ids.push_back(id);
  gate.set_value();
  EXPECT_EQ(heard.wait_for(ids.size()), ids);
}

TEST_F(EventsTest, NoHandlerRunsAfterStop) {
  std::atomic<bool> stopped = false;
  std::atomic<int> after = 0;
  Heard heard;
  Handlers handlers;
  handlers.on_event = [&](const Event&) {
    if (stopped) ++after;
    heard.add("event");
  };
  auto subscription = client->subscribe({}, handlers);
  client->submit(std::vector<JobSpec>(500, work()));
  heard.wait_for(3);
  subscription.stop();
  stopped = true;
  client->submit(std::vector<JobSpec>(10, work()));
  client->info();
  EXPECT_EQ(after, 0);
}

TEST_F(EventsTest, MayBeStoppedByItsOwnHandler) {
  std::optional<Subscription> subscription;
  Heard heard;
  Handlers handlers;
  std::mutex placed;
  handlers.on_event = [&](const Event&) {
    const std::lock_guard lock(placed);
    heard.add("event");
    subscription->stop();
  };
  {
    const std::lock_guard lock(placed);
    subscription.emplace(client->subscribe({.types = {"geres.job.submitted"}}, handlers));
  }
  client->submit(std::vector<JobSpec>(20, work()));
  heard.wait_for(1);
  client->info();
  EXPECT_THAT(heard.all(), SizeIs(1));
}

TEST_F(EventsTest, WaitsForAnySomeAndAll) {
  std::vector<std::string> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(client->submit(work()).id);
  EXPECT_FALSE(client->wait_any(ids, 50ms));
  EXPECT_THAT(client->wait_all(ids, 50ms), SizeIs(4)) << "as they stand";
  auto any = client->async().wait_some(ids, 1);
  auto some = client->async().wait_some(ids, 3);
  auto all = client->async().wait_all(ids);
  run_next();
  const auto first = any.get();
  ASSERT_THAT(first, SizeIs(1));
  EXPECT_EQ(first[0].id, ids[0]);
  EXPECT_TRUE(first[0].finished());
  EXPECT_EQ(first[0].result, "done");
  run_next();
  run_next();
  EXPECT_THAT(some.get(), SizeIs(3));
  EXPECT_FALSE(all.wait_for(0ms));
  run_next();
  const auto every = all.get();
  ASSERT_THAT(every, SizeIs(4));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(every[i].id, ids[i]);
  EXPECT_EQ(client->wait_any(ids)->ended(), true) << "one that has ended is told at once";
  EXPECT_THAT(client->wait_all({}), IsEmpty());
  EXPECT_THAT(client->wait_all({ids[0], ids[0]}), SizeIs(2)) << "named twice";
  EXPECT_THROW(client->wait_all({ids[0], "0192f0c4-7d3a-7001-8f2e-0123456789ab"}), NotFound);
}

TEST_F(EventsTest, WaitsForHundredsThroughARestart) {
  const auto ids = client->submit(std::vector<JobSpec>(300, work()));
  auto all = client->async().wait_all(ids);
  client->cancel(JobFilter{.ids = std::vector(ids.begin(), ids.begin() + 100)});
  stop_hub();
  start_hub();
  relay.cut();
  client->cancel(JobFilter{.ids = std::vector(ids.begin() + 100, ids.end())});
  for (const auto& job : all.get()) EXPECT_EQ(job.state, State::cancelled);
}

}  // namespace
}  // namespace geres::client
