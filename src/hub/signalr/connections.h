// SPDX-License-Identifier: Apache-2.0
// All SignalR connections, by the token that names them between requests, and the request that serves each at the
// moment.
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

// Rings the transport of a connection. Separate from the connection, because the engine's thread, which rings, must
// never hold the last reference to it: the connection's readers cannot leave the log from there.
class Ringer {
 public:
  void ring();
  http::Bell renew();  // returns the new bell, after ringing the one before

 private:
  std::mutex mutex_;
  http::Bell bell_;
};

// A connection and the one caller that may use it. Held by the table and by the request that serves it now.
struct Entry {
  std::string token;
  Uuid caller;  // the token that opened it; no other caller's request may use it
  std::unique_ptr<Connection> connection;

  // A new request takes the connection over; the earlier one sees that `turn` has changed, and ends.
  struct Turn {
    std::int64_t number = 0;
    http::Bell bell;
  };
  Turn take_over();
  bool is_turn(std::int64_t number) const { return turn_ == number; }
  void leave(std::int64_t number, Millis now);
  // Since when it has had no transport; kForever while it has one.
  Millis left_at() const { return left_at_; }

  std::mutex serving;  // held during output(), which only one may call at a time
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
  static constexpr Millis kLeftMax = 30'000;          // without a transport for so long, it counts as gone
  static constexpr std::size_t kWaitingMax = 20'000;  // negotiated and not yet connected, or between two polls

  using Make = std::function<std::unique_ptr<Connection>(std::function<void()> ring)>;
  // nullptr: too many are waiting.
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
