// SPDX-License-Identifier: Apache-2.0
// Publishes the event log to one AMQP 1.0 address. A thread of its own follows the log like any reader, sends what it
// reads, and from time to time has the engine store how far the broker has accepted it. So nothing is left out,
// whenever hub or broker die, and what was accepted shortly before may be sent again.
//
//   target     the address as the operator gives it
//   message    an event as a message
//   token      what a broker is shown that takes tokens, and where it comes from
//   claims     how it is shown: the links to the node "$cbs"
//   window     what was sent and not yet accepted
//   publisher  the connection, and what follows when the broker refuses or is away
//
// A message that the broker refuses or gives back, and a connection that ends, have the same consequence: everything
// after the cursor is sent again, after a growing pause, one message at a time until one is accepted. So the order
// holds, except for messages that were in transit behind a refused one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "hub/amqp/options.h"
#include "hub/engine/engine.h"
#include "hub/events/tail.h"
#include "hub/events/teller.h"

namespace geres::hub::amqp {

inline constexpr const char* kCursorName = "amqp";

// Since the start; any thread.
struct Figures {
  std::atomic<std::int64_t> sent{0}, accepted{0}, refused{0}, left_out{0}, gaps{0}, connections{0};
};

// The present state; any thread.
struct Status {
  std::string target;
  bool connected = false;     // and the address accepts messages
  store::EventNo cursor = 0;  // the last event that the broker has accepted together with all before it
  store::EventNo behind = 0;  // events after it
  std::string error;          // the newest trouble, until something is accepted
};

class Publisher {
 public:
  // Throws std::runtime_error with a sentence for people: the error of parse_target, a CA that cannot be read, a
  // program that was built without AMQP.
  Publisher(engine::Engine& engine, store::Reads& reads, events::Tail& tail, const Clock& clock, Options options);
  ~Publisher();  // stop(0)
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // Call it after the engine's thread has started. Returns when the starting position is on disk; throws
  // std::runtime_error if that fails. The broker need not be reachable.
  void start(events::Teller& teller);
  // Call it while the engine still takes commands. Waits up to `deadline` (at most 2 s) for messages in transit, and
  // until the last cursor is on disk. May be repeated.
  void stop(Millis deadline);

  const Figures& figures() const;
  Status status() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace geres::hub::amqp
