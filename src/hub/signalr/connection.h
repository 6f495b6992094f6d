// SPDX-License-Identifier: Apache-2.0
// One SignalR client, whatever carries its bytes: handshake, the hub's methods, what it has subscribed to, and the
// keep-alives. It pulls events when the transport can send, so a slow client costs no memory.
//
//   server methods   SubscribeToJob(id) UnsubscribeFromJob(id) SubscribeToBatch(idOrName)
//   UnsubscribeFromBatch(idOrName) client methods   JobStarted(job) JobProgressed(job, progress) JobCompleted(job)
//
// Whoever subscribes to a job that has started or ended is told so at once, then what comes after that. Told twice is
// possible after a reconnect, never what was before what has been told.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "hub/events/teller.h"
#include "hub/signalr/protocol.h"

namespace geres::hub::signalr {

// What a client may see. Both block; an error's message is what the client is told.
struct Sight {
  events::Filter visible;
  std::function<Result<store::JobAsOf>(Uuid)> job;
  std::function<Result<Uuid>(const std::string& batch)> batch;
};

// receive() and ring from any thread; the rest by one at a time.
class Connection {
 public:
  static constexpr std::size_t kReceivedMax = 64 * 1024;  // bytes that wait, and so of one message
  static constexpr std::size_t kSubscriptionsMax = 1'000;
  static constexpr Millis kKeepAlive = 15'000;
  static constexpr Millis kClientSilenceMax = 30'000;
  static constexpr Millis kHandshakeMax = 15'000;

  // `ring` says that output() may have something; it is called on other threads and must be quick.
  Connection(events::Tail& tail, events::Teller& teller, Sight sight, std::function<void()> ring, Millis now);

  void receive(std::string_view bytes, Millis now);
  // What has to be sent now; empty: nothing. Blocking.
  std::string output(Millis now);
  Millis next_due() const;               // call output() then, whether it rang or not
  bool ended() const { return ended_; }  // once what output() gave has been sent
  // The farewell of a hub that stops: the client comes back by itself.
  static std::string farewell() { return close("", true); }

 private:
  struct Subscription {
    std::unique_ptr<events::Reader> reader;
    std::vector<events::Told> waiting;  // read, but still to be sent
  };
  using Subscriptions = std::map<Uuid, Subscription>;
  std::string take(const std::string& record);
  std::string invoke(const Message& message);
  std::string call(const Message& message, std::string& more);
  std::string subscribe_to_job(const std::string& id, std::string& more);
  std::string subscribe_to_batch(const std::string& batch);
  std::unique_ptr<events::Reader> follow(events::Filter filter, store::EventNo after) const;
  std::string told(Subscription& subscription, bool& gap);  // gap: events are missing before what comes next
  Result<std::unique_ptr<events::Reader>> from_present_state(Uuid id, std::string& text) const;
  std::string end(std::string last_words);

  events::Tail& tail_;
  events::Teller& teller_;
  const Sight sight_;
  const std::function<void()> ring_;

  std::mutex received_mutex_;
  std::string received_;
  bool overflowed_ = false;
  Millis heard_at_;

  Subscriptions jobs_, batches_;
  const Millis opened_at_;
  bool shaken_ = false;
  bool ended_ = false;
  Millis said_at_;
};

}  // namespace geres::hub::signalr
