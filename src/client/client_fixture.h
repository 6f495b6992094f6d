// SPDX-License-Identifier: Apache-2.0
// A real hub, a relay in front of it, and a client that knows only the relay, so that the hub can go and come back.
#pragma once

#include <gmock/gmock.h>

#include <condition_variable>
#include <future>

#include "client/relay.h"
#include "geres/client.h"
#include "hub/hub_fixture.h"

namespace geres::client {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAreArray;

constexpr auto kPatient = 60s;  // how long a test waits for something that must happen

class ClientTest : public hub::HubTest {
 protected:
  void SetUp() override {
    HubTest::SetUp();
    relay.lead_to(url);
    client.emplace(options_of(ours));
    host.emplace(machine, "h");
  }
  void TearDown() override {
    client.reset();
    relay.lead_to("");
    relay.cut();
  }

  Options options_of(const hub::api::TestClient& who) const {
    Options options;
    options.hub = relay.url();
    options.token = who.token();
    options.patience = kPatient;
    return options;
  }

  void stop_hub() {
    relay.lead_to("");
    hub->stop(0);
    hub.reset();
  }
  // Starts the same hub again, at another port.
  void start_hub() {
    hub = std::make_unique<hub::Hub>(options);
    url = hub->start();
    for (auto* who : {&admin, &ours, &theirs, &viewer, &machine}) *who = who->at(url);
    relay.lead_to(url);
    host->move_to(url);
  }

  // The host runs the next job up to its start; returns the lease.
  std::string start_next() {
    auto lease = host->one_lease();
    EXPECT_EQ(host->report(R"("running":[")" + lease + R"("],"started":[")" + lease + R"("])").status, 200);
    return lease;
  }
  void progress(const std::string& lease, int percent) {
    EXPECT_EQ(host->report(R"("running":[")" + lease + R"("],"progress":[{"lease":")" + lease + R"(","percent":)" +
                           std::to_string(percent) + R"(,"message":"on the way"}])")
                  .status,
              200);
  }
  void write_log(const std::string& lease, std::int64_t offset, const std::string& text) {
    EXPECT_EQ(host->report(R"("running":[")" + lease + R"("],"log":[{"lease":")" + lease +
                           R"(","stream":"stdout","offset":)" + std::to_string(offset) + R"(,"data":")" +
                           to_base64(text) + R"("}])")
                  .status,
              200);
  }
  void finish(const std::string& lease, const std::string& outcome = "finished", const std::string& result = "done") {
    EXPECT_EQ(host->report(R"("running":[],"finished":[{"lease":")" + lease + R"(","outcome":")" + outcome +
                           R"(","result":")" + result + R"(","exit":{"code":0}}])")
                  .status,
              200);
  }
  void run_next() { finish(start_next()); }

  static JobSpec work(std::string name = {}) { return {.type = "Work", .name = std::move(name)}; }

  Relay relay;
  std::optional<Client> client;
  std::optional<hub::FakeHost> host;
};

// Records what handlers were told, for a test to wait for.
class Heard {
 public:
  void add(std::string word) {
    const std::lock_guard lock(mutex_);
    words_.push_back(std::move(word));
    changed_.notify_all();
  }
  std::vector<std::string> all() const {
    const std::lock_guard lock(mutex_);
    return words_;
  }
  // All entries once there are `count`, or whatever there is after a long time.
  std::vector<std::string> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatient, [&] { return words_.size() >= count; });
    return words_;
  }
  Handlers handlers() {
    Handlers to;
    to.on_started = [this](const Job& job) { add("started " + job.id); };
    to.on_progressed = [this](const Job& job, const Progress& at) {
      add("progressed " + job.id + " " + std::to_string(at.percent.value_or(-1)));
    };
    to.on_completed = [this](const Job& job) { add(std::string(name_of(job.state)) + " " + job.id); };
    to.on_gap = [this](const Gap&) { add("gap"); };
    to.on_ended = [this](const Error& error) { add("ended " + error.code()); };
    return to;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> words_;
};

}  // namespace geres::client
