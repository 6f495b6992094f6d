// SPDX-License-Identifier: Apache-2.0
// Calls webhooks. One thread for all of them reads the event log for each webhook, from a cursor of the webhook's own,
// sends what matches, and has the engine store the outcome. The cursor passes an event only when it has been delivered
// or is stored as a delivery to be retried. So nothing is lost, whenever the hub dies, and what was delivered shortly
// before may be delivered twice.
//
//   sender.cpp         its thread, its inbox, reading
//   sender_calls.cpp   the calls and their outcomes
//
// Receivers do not wait for each other: each has a few calls at a time, and a failing one a single call.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "hub/engine/engine.h"
#include "hub/events/tail.h"
#include "hub/events/teller.h"
#include "hub/webhooks/options.h"
#include "hub/webhooks/outbox.h"
#include "hub/webhooks/poster.h"
#include "hub/webhooks/target.h"

namespace geres::hub::webhooks {

// Since the start; any thread.
struct Figures {
  std::atomic<std::int64_t> delivered{0}, failed{0}, dead{0}, in_flight{0}, pending{0};
  // Of the webhook that is furthest behind: the events from the first that it has neither delivered nor stored to the
  // newest.
  std::atomic<std::int64_t> lag{0};
};

class Sender {
 public:
  Sender(engine::Engine& engine, store::Reads& reads, events::Tail& tail, const Clock& clock, Options options);
  ~Sender();  // stop(0)
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  void start(events::Teller& teller);  // call it after the engine has loaded
  void stop(Millis deadline);          // call it while the engine still takes commands

  void hear(engine::WebhookNews news);                        // from the engine, after each commit; any thread
  void ping(Uuid webhook, std::function<void(Posted)> then);  // once, at once; `then` runs on the sender's thread

  const AddressRules& rules() const { return options_.rules; }
  const Figures& figures() const { return figures_; }

 private:
  struct Item {
    store::DeliveryKey key;
    std::string url;      // of a job's own webhook
    bool stored = false;  // it has a row: see waiting_
    bool gap = false;
    std::shared_ptr<const events::Text> text;  // of an item without a row
    std::int64_t life = 0;                     // of the feed when it was read
  };
  struct Message {  // what an event is sent as
    std::string id, body;
  };
  struct Queue {  // what waits to be sent to one receiver
    std::deque<Item> items;
    int in_flight = 0;
    bool failing = false;
    bool listed = false;  // in turns_
  };
  struct Feed {
    model::Webhook row;
    std::unique_ptr<events::Reader> reader;
    store::EventNo position = 0;           // where a reader begins
    std::set<store::EventNo> outstanding;  // read, but neither delivered nor stored
    bool wants = true;                     // there may be something to read
    std::size_t waiting = 0;               // in waiting_
    std::int64_t life = 0;                 // grows when what was read before no longer counts
  };
  struct Waiting {
    store::DeliveryRow row;
    bool queued = false;
  };
  using QueueKey = std::pair<Uuid, std::string>;  // the webhook, and the origin of a job's own address

  void run();
  void load();
  void load_waiting();
  void take_inbox();
  void take(model::Webhook row);
  void take(store::DeliveryRow row);
  void forget(Uuid webhook);
  void rest(Feed& feed);  // stops reading; unsettled events will be read again
  void wait(store::DeliveryRow row, Millis delay);
  void wake_due(Millis now);
  void look_round(Millis now);
  void read_on(Feed& feed);
  void pass_others(Feed& feed, std::vector<events::Told>& events);
  void enqueue(Item item);
  void dispatch();
  bool send_next(Queue& queue, const QueueKey& key);
  void send(const Feed& feed, Item item, const QueueKey& key);
  Message message_of(const Item& item);
  Post post_of(const model::Webhook& webhook, Message message, const std::string& url) const;
  void finish(const Item& item, const QueueKey& key, const Posted& posted);
  void arrived(Feed& feed, const Item& item);
  void missed(Feed& feed, const Item& item, const Posted& posted);
  void send_pings();
  store::EventNo cursor(const Feed& feed) const;
  std::int64_t lag(const Feed& feed) const;
  void measure(Millis now);
  void commit(Millis now);
  Millis wait_time(Millis now) const;

  engine::Engine& engine_;
  store::Reads& reads_;
  events::Tail& tail_;
  const Clock& clock_;
  const Options options_;
  events::Teller* teller_ = nullptr;
  Figures figures_;
  std::unique_ptr<Poster> poster_;
  std::thread thread_;

  struct Ping {
    Uuid webhook;
    std::function<void(Posted)> then;
  };
  struct Inbox {
    std::vector<engine::WebhookNews> news;
    std::vector<Uuid> nudged;
    std::vector<Ping> pings;
    std::optional<bool> settled;
    bool stop = false;
  };
  std::mutex inbox_mutex_;
  Inbox inbox_;
  std::atomic<Millis> stop_wait_{0};

  // Only the sender's thread.
  std::map<Uuid, Feed> feeds_;
  std::map<QueueKey, Queue> queues_;
  std::deque<QueueKey> turns_;  // queues with something to send, in the order of their turns
  std::map<store::DeliveryKey, Waiting> waiting_;
  std::multimap<Millis, store::DeliveryKey> timers_;  // monotonic
  std::vector<Ping> pings_;
  std::set<Uuid> readable_;
  Outbox outbox_;
  std::vector<engine::DeliveryNews::Cursor> cursors_sent_;
  Millis next_commit_ = 0, next_round_ = 0, next_measure_ = 0;
  bool more_in_store_ = false;
  bool stopping_ = false;
};

}  // namespace geres::hub::webhooks
