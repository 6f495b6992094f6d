// SPDX-License-Identifier: Apache-2.0
// A publisher and brokers that no library provides, such as one that accepts connections and never says a word.
// tests/end_to_end/amqp_test.py has the others.
#include "hub/amqp/publisher.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <future>
#include <vector>

#include "base/file.h"
#include "hub/store/sqlite/sqlite_store.h"

namespace geres::hub::amqp {
namespace {

constexpr int kPatience = 60'000;  // ms; a deadline, not a pause

class Mute {
 public:
  Mute() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(socket_.get(), 8) != 0 ||
        ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no socket");
    port_ = ntohs(address.sin_port);
  }
  int port() const { return port_; }
  // The next connection; empty: none came.
  Fd take() const {
    pollfd ready{socket_.get(), POLLIN, 0};
    return Fd(::poll(&ready, 1, kPatience) == 1 ? ::accept(socket_.get(), nullptr, nullptr) : -1);
  }
  // The other side has closed the connection.
  static bool ended(const Fd& fd) {
    char some[1'024];
    pollfd ready{fd.get(), POLLIN, 0};
    while (::poll(&ready, 1, kPatience) == 1)
      if (::recv(fd.get(), some, sizeof some, 0) <= 0) return true;
    return false;
  }

 private:
  Fd socket_;
  int port_ = 0;
};

class AmqpPublisher : public testing::Test {
 protected:
  AmqpPublisher()
      : store(store::open_sqlite(directory.path() / "store.db")), engine(*store, clock, random), tail(store->reads()) {
    engine.on_events([this](std::vector<store::EventRow> events) { tail.publish(std::move(events)); });
    engine.load();
    tail.start(engine.last_event());
    teller.emplace(store->reads(), engine.log(), [](Uuid) { return std::nullopt; });
    thread.start();
  }
  ~AmqpPublisher() override { thread.stop(); }

  Options to(const std::string& url) const {
    Options options;
    options.access.url = url;
    options.retry_first = options.retry_max = 10;
    options.answer_time_max = 100;
    options.commit_every = 20;
    return options;
  }

  TemporaryDirectory directory;
  SystemClock clock;
  SystemRandom random;
  std::unique_ptr<store::Store> store;
  engine::Engine engine;
  events::Tail tail;
  std::optional<events::Teller> teller;
  engine::EngineThread thread{engine, [](const std::string& what) { ADD_FAILURE() << what; }};
};

TEST_F(AmqpPublisher, ABrokerThatSaysNothingIsLeftAndTriedAgain) {
  const Mute broker;
  Publisher publisher(engine, store->reads(), tail, clock,
                      to("amqp://127.0.0.1:" + std::to_string(broker.port()) + "/a"));
  publisher.start(*teller);
  for (int i = 0; i < 3; ++i) {
    const auto connection = broker.take();
    ASSERT_TRUE(connection);
    EXPECT_TRUE(Mute::ended(connection)) << "no connection is left behind";
  }
  EXPECT_NE(publisher.status().error.find("does not answer"), std::string::npos) << publisher.status().error;
  EXPECT_FALSE(publisher.status().connected);
  publisher.stop(0);
  publisher.stop(0);
}

TEST_F(AmqpPublisher, TheFirstPlaceIsOnDiskBeforeAnythingElse) {
  Publisher publisher(engine, store->reads(), tail, clock, to("amqp://127.0.0.1:1/a"));
  EXPECT_EQ(store->reads().cursor(kCursorName), std::nullopt);
  publisher.start(*teller);
  EXPECT_EQ(store->reads().cursor(kCursorName), (store::CursorRow{kCursorName, engine.log(), 0}));
}

TEST_F(AmqpPublisher, WhatCannotBeIsSaidWhenItIsMade) {
  EXPECT_THROW(Publisher(engine, store->reads(), tail, clock, to("amqp://h")), std::runtime_error);
  auto options = to("amqps://h/a");
  options.access.ca_file = directory.path() / "absent.pem";
  EXPECT_THROW(Publisher(engine, store->reads(), tail, clock, options), std::runtime_error);
}

}  // namespace
}  // namespace geres::hub::amqp
