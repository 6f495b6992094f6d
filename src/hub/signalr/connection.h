// SPDX-License-Identifier: Apache-2.0
// One SignalR client, whatever carries its bytes: handshake, the hub's methods, its subscriptions, and the keep-alives.
// It fetches events when the transport can send, so a slow client costs no memory.
//
//   server methods   SubscribeToJob(id), UnsubscribeFromJob(id), SubscribeToBatch(idOrName),
//                    UnsubscribeFromBatch(idOrName)
//   client methods   JobStarted(job), JobProgressed(job, progress), JobCompleted(job)
//
// A client that subscribes to a job that has started or ended is told so at once, and then what comes after that. After
// a reconnect something may be told twice, but never something older than what was already told.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "hub/events/teller.h"
#include "hub/signalr/protocol.h"

namespace geres::hub::signalr {

// What a client may see. Both functions block; an error's message is sent to the client.
struct Sight {
  events::Filter visible;
  std::function<Result<store::JobAsOf>(Uuid)> job;
  std::function<Result<Uuid>(const std::string& batch)> batch;
};

// receive() and ring may be called from any thread, the rest by one thread at a time.
class Connection {
 public:
  static constexpr std::size_t kReceivedMax = 64 * 1024;  // bytes that may wait, and therefore the largest message
  static constexpr std::size_t kSubscriptionsMax = 1'000;
  static constexpr Millis kKeepAlive = 15'000;
  static constexpr Millis kClientSilenceMax = 30'000;
  static constexpr Millis kHandshakeMax = 15'000;

  // `ring` says that output() may have something. It is called on other threads and must be quick.
  Connection(events::Tail& tail, events::Teller& teller, Sight sight, std::function<void()> ring, Millis now);

  void receive(std::string_view bytes, Millis now);
  // What must be sent now; empty: nothing. Blocking.
  std::string output(Millis now);
  Millis next_due() const;               // call output() at that time, even without a ring
  bool ended() const { return ended_; }  // as soon as the last output() has been sent
  // The last message of a hub that stops; the client reconnects by itself.
  static std::string farewell() { return close("", true); }

 private:
  struct Subscription {
    std::unique_ptr<events::Reader> reader;
    std::vector<events::Told> waiting;  // read, but not yet sent
  };
  using Subscriptions = std::map<Uuid, Subscription>;
  std::string take(const std::string& record);
  std::string invoke(const Message& message);
  std::string call(const Message& message, std::string& more);
  std::string subscribe_to_job(const std::string& id, std::string& more);
  std::string subscribe_to_batch(const std::string& batch);
  std::unique_ptr<events::Reader> follow(events::Filter filter, store::EventNo after) const;
  std::string told(Subscription& subscription, bool& gap);  // gap: events are missing before the next one
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
