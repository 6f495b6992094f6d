// SPDX-License-Identifier: Apache-2.0
// All SignalR connections by the token that names them between requests, and who carries each at the moment.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "http/wait.h"
#include "hub/signalr/connection.h"

namespace geres::hub::signalr {

// Where a connection's transport is rung. Apart from the connection: whoever rings on the engine's thread must never be
// the last to hold that, as its readers can't leave the log from there.
class Ringer {
 public:
  void ring();
  http::Bell renew();  // the bell before it is rung once more

 private:
  std::mutex mutex_;
  http::Bell bell_;
};

// A connection and who may use it. Held by the table and by whoever serves it now.
struct Entry {
  std::string token;
  Uuid caller;  // whose token opened it; nobody else's request may touch it
  std::unique_ptr<Connection> connection;

  // A new request takes the connection over; the one before finds `turn` changed and ends.
  struct Turn {
    std::int64_t number = 0;
    http::Bell bell;
  };
  Turn take_over();
  bool is_turn(std::int64_t number) const { return turn_ == number; }
  void leave(std::int64_t number, Millis now);
  // Without a transport since when; kForever while it has one.
  Millis left_at() const { return left_at_; }

  std::mutex serving;  // output() by one at a time
  std::atomic<bool> polled_before = false;

 private:
  friend class Connections;
  std::shared_ptr<Ringer> ringer_ = std::make_shared<Ringer>();
  std::atomic<std::int64_t> turn_ = 0;
  std::atomic<Millis> left_at_ = 0;
};

// Any thread.
class Connections {
 public:
  static constexpr Millis kLeftMax = 30'000;          // without a transport for so long: it is gone
  static constexpr std::size_t kWaitingMax = 20'000;  // negotiated and not there yet, or between two polls

  using Make = std::function<std::unique_ptr<Connection>(std::function<void()> ring)>;
  // nullptr: too many wait.
  std::shared_ptr<Entry> open(Uuid caller, Millis now, const Make& make);
  std::shared_ptr<Entry> find(const std::string& token, Uuid caller);
  void remove(const std::string& token);
  std::size_t count() const;

 private:
  void forget_left(Millis now);
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Entry>> entries_;
};

}  // namespace geres::hub::signalr
