// SPDX-License-Identifier: Apache-2.0
// The sender's calls: which queue's turn it is, what is sent, and what follows from the outcome.
#include <fmt/format.h>

#include <algorithm>

#include "base/backoff.h"
#include "base/log.h"
#include "hub/webhooks/sender.h"
#include "hub/webhooks/signature.h"

namespace geres::hub::webhooks {
namespace {

constexpr int kGone = 410;

}  // namespace

// ---- sending --------------------------------------------------------------------------------------------------------

void Sender::enqueue(Item item) {
  std::string origin;
  if (!item.url.empty()) {
    const auto target = check_target(item.url, options_.rules, {});
    origin = target ? target->origin : item.url;
  }
  const QueueKey key{item.key.webhook, std::move(origin)};
  auto& queue = queues_[key];
  queue.items.push_back(std::move(item));
  if (!std::exchange(queue.listed, true)) turns_.push_back(key);
}

void Sender::dispatch() {
  // One call each in turn, until no more are allowed.
  for (std::size_t passed = 0; passed < turns_.size() && poster_->under_way() < options_.in_flight_total_max;) {
    const auto key = turns_.front();
    turns_.pop_front();
    const auto found = queues_.find(key);
    if (found == queues_.end()) continue;
    auto& queue = found->second;
    const bool sent = send_next(queue, key);
    queue.listed = !queue.items.empty();
    if (queue.listed) turns_.push_back(key);
    passed = sent ? 0 : passed + (queue.listed ? 1 : 0);
  }
}

bool Sender::send_next(Queue& queue, const QueueKey& key) {
  if (queue.items.empty() || queue.in_flight >= (queue.failing ? 1 : options_.in_flight_max)) return false;
  auto item = std::move(queue.items.front());
  queue.items.pop_front();
  const auto feed = feeds_.find(item.key.webhook);
  if (feed == feeds_.end()) return true;
  if (item.stored) {
    const auto waiting = waiting_.find(item.key);
    if (waiting == waiting_.end()) return true;
    if (!feed->second.row.enabled) {
      waiting->second.queued = false;  // until the webhook is enabled again
      return true;
    }
  } else if (item.life != feed->second.life) {
    return true;
  }
  ++queue.in_flight;
  send(feed->second, std::move(item), key);
  return true;
}

Sender::Message Sender::message_of(const Item& item) {
  const auto id = events::event_id(teller_->log(), item.key.event);
  if (item.text) return {id, item.text->event};
  if (!item.gap) {
    auto rows = reads_.events(item.key.event - 1, 1);
    if (!rows.empty() && rows.front().no == item.key.event) {
      auto chunk = std::make_shared<events::Chunk>();
      chunk->events = std::move(rows);
      const events::Told told{chunk, 0};
      return {id, teller_->text(told)->event};
    }
  }
  const events::Gap gap{{}, id};
  return {gap.id(), gap.event(clock_.wall())};
}

Post Sender::post_of(const model::Webhook& webhook, Message message, const std::string& url) const {
  const Millis wall = clock_.wall();
  const auto timestamp = std::to_string(wall / 1'000);
  Post post;
  post.url = url;
  post.headers = {{"Content-Type", "application/cloudevents+json; charset=utf-8"},
                  {"webhook-id", message.id},
                  {"webhook-timestamp", timestamp},
                  {"webhook-signature", signatures(webhook, wall, message.id, timestamp, message.body)}};
  post.body = std::move(message.body);
  return post;
}

void Sender::send(const Feed& feed, Item item, const QueueKey& key) {
  const std::string url = item.url.empty() ? feed.row.url : item.url;
  const auto target = check_target(url, options_.rules, {});
  if (!target) return finish(item, key, Posted{0, target.error().message});
  Message message;
  try {
    message = message_of(item);
  } catch (const store::StoreFailed& failed) {
    return finish(item, key, Posted{0, failed.what()});
  }
  auto post = post_of(feed.row, std::move(message), url);
  post.host = target->host;
  auto shared = std::make_shared<Item>(std::move(item));
  poster_->post(std::move(post), [this, shared, key](Posted posted) { finish(*shared, key, posted); });
}

void Sender::send_pings() {
  for (auto& ping : std::exchange(pings_, {})) {
    const auto feed = feeds_.find(ping.webhook);
    if (feed == feeds_.end() || poster_->under_way() > 2 * options_.in_flight_total_max) {
      ping.then(Posted{0, feed == feeds_.end() ? "the webhook is gone" : "too many calls are under way"});
      continue;
    }
    const auto& row = feed->second.row;
    const auto target = check_target(row.url, options_.rules, {});
    if (!target) {
      ping.then(Posted{0, target.error().message});
      continue;
    }
    const auto id = "ping-" + random_hex(8);
    auto body = fmt::format(
        R"({{"specversion":"1.0","id":"{}","source":"/v1","type":"geres.webhook.ping","subject":"{}","time":"{}",)"
        R"("datacontenttype":"application/json","tenant":"{}","data":{{}}}})",
        id, row.id.str(), format_time(clock_.wall()), row.tenant);
    auto post = post_of(row, {id, std::move(body)}, row.url);
    post.host = target->host;
    poster_->post(std::move(post), std::move(ping.then));
  }
}

// ---- what came of it ------------------------------------------------------------------------------------------------

void Sender::finish(const Item& item, const QueueKey& key, const Posted& posted) {
  const bool good = posted.arrived();
  ++(good ? figures_.delivered : figures_.failed);
  if (const auto queue = queues_.find(key); queue != queues_.end()) {
    --queue->second.in_flight;
    queue->second.failing = !good;
  }
  const auto found = feeds_.find(item.key.webhook);
  if (found == feeds_.end()) return;
  auto& feed = found->second;
  if (good)
    arrived(feed, item);
  else
    missed(feed, item, posted);
  if (feed.wants) readable_.insert(feed.row.id);
}

void Sender::arrived(Feed& feed, const Item& item) {
  if (item.stored) {
    if (waiting_.erase(item.key) > 0 && feed.waiting > 0) --feed.waiting;
    outbox_.remove(item.key);
  } else if (item.life == feed.life) {
    feed.outstanding.erase(item.key.event);
    outbox_.moved(feed.row.id);
  }
}

void Sender::missed(Feed& feed, const Item& item, const Posted& posted) {
  store::DeliveryRow row;
  if (item.stored) {
    const auto waiting = waiting_.find(item.key);
    if (waiting == waiting_.end()) return;
    row = waiting->second.row;
  } else {
    if (item.life != feed.life) return;  // the feed will read it again
    row.key = item.key;
    row.at = clock_.wall();
    feed.outstanding.erase(item.key.event);
    outbox_.moved(feed.row.id);
  }
  ++row.attempts;
  row.tried_at = clock_.wall();
  row.status = posted.status;
  row.error = posted.error;
  const bool gone = posted.status == kGone;
  if (gone && !feed.row.for_jobs) {
    feed.row.enabled = false;
    rest(feed);
    outbox_.disable(feed.row.id, "the receiver answered 410 Gone");
  }
  if (gone || row.attempts >= options_.attempts_max) {
    ++figures_.dead;
    row.state = store::DeliveryState::dead;
    if (waiting_.erase(item.key) > 0 && feed.waiting > 0) --feed.waiting;
    log::warn("webhook {}: event {} is a dead letter after {} attempts: {}", feed.row.id.str(), item.key.event,
              row.attempts, row.error);
    outbox_.put(std::move(row));
    return;
  }
  const Millis delay = std::max(backoff(row.attempts, options_.retry_first, options_.retry_max, 3), posted.retry_after);
  row.due = clock_.wall() + delay;
  outbox_.put(row);
  wait(std::move(row), delay);
}

void Sender::commit(Millis now) {
  if (outbox_.empty() || outbox_.on_its_way() || (now < next_commit_ && !stopping_)) return;
  next_commit_ = now + options_.commit_every;
  auto news = outbox_.take([this](Uuid id) -> std::optional<engine::DeliveryNews::Cursor> {
    const auto feed = feeds_.find(id);
    if (feed == feeds_.end() || feed->second.row.for_jobs) return std::nullopt;
    return engine::DeliveryNews::Cursor{id, feed->second.row.rewinds, cursor(feed->second)};
  });
  cursors_sent_ = news.cursors;
  engine_.ask(std::move(news), [this](Result<bool> done) {
    {
      const std::lock_guard lock(inbox_mutex_);
      inbox_.settled = done.has_value();
    }
    poster_->wake();
  });
}

}  // namespace geres::hub::webhooks
