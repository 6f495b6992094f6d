// SPDX-License-Identifier: Apache-2.0
// A client as the hub sees it, without a transport: handshake, time limits, and which request may hold it.
#include "hub/signalr/connection.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "hub/signalr/connections.h"
#include "hub/store/sqlite/sqlite_store.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::signalr {
namespace {

class SignalrConnectionTest : public testing::Test {
 protected:
  std::unique_ptr<Connection> open(std::function<void()> ring = [] {}) {
    Sight sight;
    sight.job = [](Uuid) -> Result<store::JobAsOf> { return fail(Code::unknownJob, "there is no job"); };
    sight.batch = [](const std::string&) -> Result<Uuid> { return Uuid{7, 7}; };
    return std::make_unique<Connection>(tail, teller, std::move(sight), std::move(ring), 0);
  }
  static std::string record(const std::string& text) { return text + kRecordEnd; }
  static std::string hello() { return record(R"({"protocol":"json","version":1})"); }

  TemporaryDirectory directory;
  std::unique_ptr<store::Store> store =
      store::open_sqlite(directory.path() / "log.db", {.check_limit = 0, .reserve_bytes = 0});
  events::Tail tail{store->reads()};
  events::Teller teller{store->reads(), "log", [](Uuid) { return std::optional<std::string>(); }};
};

TEST_F(SignalrConnectionTest, AHandshakeThatDripsInIsCutOffAllTheSame) {
  const auto connection = open();
  for (Millis now = 0; now < Connection::kHandshakeMax; now += 1'000) {
    connection->receive("{", now);
    EXPECT_EQ(connection->output(now), "");
    EXPECT_GT(connection->next_due(), now) << "whoever serves it would never rest";
  }
  EXPECT_NE(connection->output(Connection::kHandshakeMax).find("in time"), std::string::npos);
  EXPECT_TRUE(connection->ended());
}

TEST_F(SignalrConnectionTest, SpeaksUpWhenThereIsNothingToSay) {
  const auto connection = open();
  connection->receive(hello(), 0);
  EXPECT_EQ(connection->output(0), record("{}"));
  EXPECT_EQ(connection->output(14'999), "");
  EXPECT_EQ(connection->output(15'000), ping());
  EXPECT_EQ(connection->next_due(), 30'000);
  connection->receive(ping(), 20'000);
  EXPECT_EQ(connection->output(45'000), ping());
  EXPECT_NE(connection->output(50'001).find("silent"), std::string::npos);
  EXPECT_TRUE(connection->ended());
}

TEST_F(SignalrConnectionTest, WhoComesLateIsToldHowFarAJobIs) {
  model::Job job;
  job.id = {5, 5};
  job.status.state = model::JobState::running;
  job.status.progress = model::Progress{40, "half a sentence that is too long to lie inside of a string object"};
  Sight sight;
  sight.job = [&](Uuid) -> Result<store::JobAsOf> { return store::JobAsOf{job, 0}; };
  Connection connection(
      tail, teller, sight, [] {}, 0);
  connection.receive(
      hello() + record(R"({"type":1,"target":"SubscribeToJob","arguments":[")" + job.id.str() + R"("]})"), 0);
  const auto told = connection.output(0);
  EXPECT_NE(told.find("JobStarted"), std::string::npos) << told;
  EXPECT_NE(told.find(R"("target":"JobProgressed")"), std::string::npos) << told;
  EXPECT_TRUE(told.ends_with(
      "},{\"percent\":40,\"message\":\"half a sentence that is too long to lie inside of a string object\"}]}\x1e"))
      << told;
}

// The store knows of a commit before the log's readers do.
TEST_F(SignalrConnectionTest, WhatLedToTheStateToldIsNotToldAfterIt) {
  model::Job job;
  job.id = {5, 5};
  job.spec.tenant = "acme";
  job.status.state = model::JobState::finished;
  Sight sight;
  sight.job = [&](Uuid) -> Result<store::JobAsOf> { return store::JobAsOf{job, 2}; };
  tail.start(0);
  Connection connection(
      tail, teller, sight, [] {}, 0);
  connection.receive(
      hello() + record(R"({"type":1,"target":"SubscribeToJob","arguments":[")" + job.id.str() + R"("]})"), 0);
  EXPECT_NE(connection.output(0).find("JobCompleted"), std::string::npos);
  const auto publish = [&](store::EventNo no, store::EventType type) {
    store::EventRow event;
    event.no = no;
    event.type = type;
    event.subject = job.id;
    event.tenant = "acme";
    tail.publish({event});
    return connection.output(1);
  };
  EXPECT_EQ(publish(1, store::EventType::job_started), "");
  EXPECT_EQ(publish(2, store::EventType::job_finished), "");
  EXPECT_NE(publish(3, store::EventType::job_started).find("JobStarted"), std::string::npos) << "redriven";
}

// For events that are no longer kept, the state that they led to is sent.
TEST_F(SignalrConnectionTest, WhoMissedEventsIsToldTheStateOfTheJob) {
  events::Tail forgetful(store->reads(), {.events_max = 2});
  forgetful.start(0);
  model::Job job;
  job.id = {5, 5};
  job.status.state = model::JobState::finished;
  Sight sight;
  sight.job = [&](Uuid) -> Result<store::JobAsOf> { return store::JobAsOf{job, 0}; };
  sight.batch = [](const std::string&) -> Result<Uuid> { return Uuid{7, 7}; };
  Connection connection(
      forgetful, teller, sight, [] {}, 0);
  job.status.state = model::JobState::leased;
  connection.receive(
      hello() + record(R"({"type":1,"target":"SubscribeToJob","arguments":[")" + job.id.str() + R"("]})"), 0);
  EXPECT_EQ(connection.output(0), record("{}"));
  job.status.state = model::JobState::finished;
  const auto pass = [&] {
    for (int i = 0; i < 5; ++i) {
      store::EventRow event;
      event.no = forgetful.last() + 1;
      event.type = store::EventType::job_started;
      event.subject = job.id;
      event.tenant = "acme";
      event.batch = {7, 7};
      forgetful.publish({event});
    }
  };
  pass();
  const auto told = connection.output(1);
  EXPECT_NE(told.find("JobCompleted"), std::string::npos) << told;
  EXPECT_FALSE(connection.ended());

  connection.receive(record(R"({"type":1,"target":"SubscribeToBatch","arguments":["night"]})"), 2);
  EXPECT_EQ(connection.output(2), "");
  pass();
  const auto last = connection.output(3);
  EXPECT_NE(last.find("no longer kept"), std::string::npos) << last;
  EXPECT_NE(last.find(R"("allowReconnect":true)"), std::string::npos) << last;
  EXPECT_TRUE(connection.ended());
}

// A page of events with long results goes out in pieces, in order and complete.
TEST_F(SignalrConnectionTest, MuchToTellComesInPieces) {
  tail.start(0);
  int rings = 0;
  const auto connection = open([&] { ++rings; });
  connection->receive(hello() + record(R"({"type":1,"target":"SubscribeToBatch","arguments":["night"]})"), 0);
  connection->output(0);
  std::vector<store::EventRow> rows;
  for (int i = 1; i <= 20; ++i) {
    auto& row = rows.emplace_back();
    row.no = i;
    row.type = store::EventType::job_progressed;
    row.subject = {5, std::uint64_t(i)};
    row.tenant = "acme";
    row.batch = {7, 7};
    row.data = store::JobEvent{model::JobState::running, i, 1,
                               store::Progressed{{{}, "number " + std::to_string(i) + std::string(60'000, 'x')}}};
  }
  tail.publish(std::move(rows));
  std::string all;
  for (int outputs = 0; outputs < 30; ++outputs) {
    const int rung = rings;
    const auto text = connection->output(1);
    EXPECT_LT(text.size(), 1'000'000u);
    all += text;
    if (all.find("number 20x") != std::string::npos) break;
    EXPECT_GT(rings, rung) << "nobody would come for the rest";
  }
  std::size_t at = 0;
  for (int i = 1; i <= 20; ++i) {
    const auto found = all.find("number " + std::to_string(i) + "x", at);
    ASSERT_NE(found, std::string::npos) << i;
    at = found;
  }
}

// The engine's thread rings while it informs the log's readers. If it ended a connection there it would wait for
// itself.
TEST_F(SignalrConnectionTest, WhoeverRingsHoldsNoConnection) {
  Connections connections;
  std::function<void()> ring;
  auto entry = connections.open({1, 1}, 0, [&](std::function<void()> given) {
    ring = std::move(given);
    return open(ring);
  });
  ASSERT_TRUE(entry);
  entry->connection->receive(hello() + record(R"({"type":1,"target":"SubscribeToBatch","arguments":["night"]})"), 0);
  entry->connection->output(0);
  EXPECT_EQ(tail.readers(), 1u);
  EXPECT_EQ(connections.find(entry->token, {2, 2}), nullptr) << "nobody else's";
  connections.remove(entry->token);
  const std::weak_ptr<Entry> gone = entry;
  entry.reset();
  EXPECT_TRUE(gone.expired());
  EXPECT_EQ(tail.readers(), 0u);
  ring();
}

TEST_F(SignalrConnectionTest, ForgetsWhoNeverCame) {
  Connections connections;
  const auto make = [&](std::function<void()> ring) { return open(std::move(ring)); };
  const auto token = connections.open({1, 1}, 0, make)->token;
  const auto stays = connections.open({1, 1}, 0, make);
  const auto turn = stays->take_over();
  EXPECT_TRUE(stays->is_turn(turn.number));
  connections.open({1, 1}, Connections::kLeftMax + 1, make);
  EXPECT_EQ(connections.find(token, {1, 1}), nullptr);
  EXPECT_NE(connections.find(stays->token, {1, 1}), nullptr) << "it has a transport";
  stays->take_over();
  EXPECT_FALSE(stays->is_turn(turn.number));
}

}  // namespace
}  // namespace geres::hub::signalr
