// SPDX-License-Identifier: Apache-2.0
#include "hub/signalr/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "base/bytes.h"
#include "hub/store/with_jobs.h"
#include "model/job_transitions.h"

namespace geres::hub::signalr {
namespace {

using store::EventType;

constexpr std::size_t kPage = 100;             // events read at once
constexpr std::size_t kWriteMax = 256 * 1024;  // bytes of one subscription in one output, roughly

std::uint32_t told_types() {
  using events::Filter;
  return Filter::bit(EventType::job_started) | Filter::bit(EventType::job_progressed) |
         Filter::bit(EventType::job_finished) | Filter::bit(EventType::job_failed) |
         Filter::bit(EventType::job_cancelled);
}

std::string progress_of(const store::EventData& data) {
  const auto* job = std::get_if<store::JobEvent>(&data);
  const auto* news = job == nullptr ? nullptr : std::get_if<store::Progressed>(&job->news);
  return news == nullptr ? "null" : boost::json::serialize(store::progress_json(news->progress));
}

}  // namespace

Connection::Connection(events::Tail& tail, events::Teller& teller, Sight sight, std::function<void()> ring, Millis now)
    : tail_(tail),
      teller_(teller),
      sight_(std::move(sight)),
      ring_(std::move(ring)),
      heard_at_(now),
      opened_at_(now),
      said_at_(now) {}

void Connection::receive(std::string_view bytes, Millis now) {
  {
    const std::lock_guard lock(received_mutex_);
    heard_at_ = now;
    if (received_.size() + bytes.size() > kReceivedMax)
      overflowed_ = true;
    else
      received_ += bytes;
  }
  ring_();
}

Millis Connection::next_due() const {
  return shaken_ ? said_at_ + kKeepAlive : opened_at_ + kHandshakeMax;
}

std::string Connection::output(Millis now) {
  if (ended_) return {};
  std::vector<std::string> records;
  bool overflowed = false;
  Millis heard_at = 0;
  {
    const std::lock_guard lock(received_mutex_);
    records = take_records(received_);
    overflowed = overflowed_;
    heard_at = heard_at_;
  }
  std::string text;
  for (const auto& record : records) {
    text += take(record);
    if (ended_) return text;
  }
  if (overflowed) return text + end(close(fmt::format("A message is longer than {} bytes.", kReceivedMax), false));
  if (!shaken_ && now - opened_at_ >= kHandshakeMax)
    return text + end(handshake_answer("The handshake did not come in time."));
  if (shaken_ && now - heard_at > kClientSilenceMax)
    return text + end(close("The client was silent for too long.", true));
  if (shaken_) {
    for (auto& [id, subscription] : jobs_) {
      bool gap = false;
      text += told(subscription, gap);
      if (!gap) continue;
      if (auto live = from_present_state(id, text))
        subscription.reader = std::move(*live);  // it contains what was missed
    }
    for (auto& [id, subscription] : batches_) {
      bool gap = false;
      text += told(subscription, gap);
      if (gap)
        return text + end(close("Events of a batch are no longer kept: look at its jobs, and subscribe again.", true));
    }
    if (text.empty() && now - said_at_ >= kKeepAlive) text = ping();
  }
  if (!text.empty()) said_at_ = now;
  return text;
}

std::string Connection::end(std::string last_words) {
  ended_ = true;
  return last_words;
}

std::string Connection::take(const std::string& record) {
  if (!shaken_) {
    if (auto ok = read_handshake(record); !ok) return end(handshake_answer(ok.error().message));
    shaken_ = true;
    return handshake_answer();
  }
  const auto message = read_message(record);
  if (!message) return end(close(message.error().message, false));
  switch (message->type) {
    case MessageType::close:
      return end({});
    case MessageType::invocation:
    case MessageType::streamInvocation:
      return invoke(*message);
    default:
      return {};
  }
}

std::string Connection::invoke(const Message& message) {
  std::string more;
  const auto trouble = call(message, more);
  if (message.invocation_id) return completion(*message.invocation_id, trouble) + more;
  return more;
}

// Returns what went wrong, or nothing. `more`: further messages for the client.
std::string Connection::call(const Message& message, std::string& more) {
  const std::string shown(replace_bad_utf8(utf8_prefix(message.target, 80)));
  if (message.type == MessageType::streamInvocation) return fmt::format("The hub has no streaming method '{}'.", shown);
  const bool job = message.target == "SubscribeToJob" || message.target == "UnsubscribeFromJob";
  const bool batch = message.target == "SubscribeToBatch" || message.target == "UnsubscribeFromBatch";
  if (!job && !batch)
    return fmt::format(
        "The hub has no method '{}'. It has SubscribeToJob, UnsubscribeFromJob, SubscribeToBatch and "
        "UnsubscribeFromBatch.",
        shown);
  if (message.arguments.size() != 1 || !message.arguments[0].is_string())
    return fmt::format("{} takes one argument: {}.", message.target, job ? "a job's id" : "a batch's id or name");
  const std::string argument(message.arguments[0].get_string());
  if (message.target == "SubscribeToJob") return subscribe_to_job(argument, more);
  if (message.target == "SubscribeToBatch") return subscribe_to_batch(argument);
  if (job) {
    if (const auto id = parse_uuid(argument)) jobs_.erase(*id);
  } else if (const auto id = sight_.batch(argument)) {
    batches_.erase(*id);
  }
  return {};
}

std::unique_ptr<events::Reader> Connection::follow(events::Filter filter, store::EventNo after) const {
  filter.types = told_types();
  return std::make_unique<events::Reader>(tail_, std::move(filter), after, ring_);
}

std::string Connection::subscribe_to_job(const std::string& text, std::string& more) {
  const auto id = parse_uuid(text);
  if (!id) return fmt::format("There is no job '{}'.", replace_bad_utf8(utf8_prefix(text, 80)));
  if (jobs_.size() + batches_.size() >= kSubscriptionsMax && !jobs_.contains(*id))
    return fmt::format("A connection may have {} subscriptions: subscribe to a batch instead.", kSubscriptionsMax);
  auto live = from_present_state(*id, more);
  if (!live) return live.error().message;
  jobs_[*id] = {std::move(*live), {}};
  return {};
}

// Says that the job has ended, or has started and how far it is; the reader continues with what came after that. The
// store may already have events that the tail will announce only later. If these were sent after the state that they
// led to, a start would follow the end.
Result<std::unique_ptr<events::Reader>> Connection::from_present_state(Uuid id, std::string& text) const {
  const auto last = tail_.last();  // before the job is read, in case the store keeps no events
  const auto seen = sight_.job(id);
  if (!seen) return seen.error();
  const auto told = teller_.job_json(seen->job);
  const auto shown = boost::json::serialize(told);
  if (model::ended(seen->job.status.state)) {
    text += invocation("JobCompleted", {shown});
  } else if (seen->job.status.state == model::JobState::running) {
    text += invocation("JobStarted", {shown});
    if (const auto* progress = told.if_contains("progress"))
      text += invocation("JobProgressed", {shown, boost::json::serialize(*progress)});
  }
  auto filter = sight_.visible;
  filter.jobs = {id};
  return follow(std::move(filter), std::max(last, seen->as_of));
}

std::string Connection::subscribe_to_batch(const std::string& text) {
  const auto id = sight_.batch(text);
  if (!id) return id.error().message;
  if (jobs_.size() + batches_.size() >= kSubscriptionsMax && !batches_.contains(*id))
    return fmt::format("A connection may have {} subscriptions.", kSubscriptionsMax);
  auto filter = sight_.visible;
  filter.batches = {*id};
  batches_[*id] = {follow(std::move(filter), tail_.last()), {}};
  return {};
}

std::string Connection::told(Subscription& subscription, bool& gap) {
  auto& waiting = subscription.waiting;
  bool more = false;
  if (waiting.empty()) {
    auto page = subscription.reader->read(kPage);
    gap = page.gap_until.has_value();
    more = page.more;
    waiting.assign(page.events.begin(), page.events.end());
  }
  std::string text;
  const auto texts = teller_.texts(waiting, kWriteMax);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto& row = waiting[i].row();
    const std::string data(texts[i]->data());
    switch (row.type) {
      case EventType::job_started:
        text += invocation("JobStarted", {data});
        break;
      case EventType::job_progressed:
        text += invocation("JobProgressed", {data, progress_of(row.data)});
        break;
      default:
        text += invocation("JobCompleted", {data});
    }
  }
  waiting.erase(waiting.begin(), waiting.begin() + std::ptrdiff_t(texts.size()));
  if (more || !waiting.empty()) ring_();
  return text;
}

}  // namespace geres::hub::signalr
