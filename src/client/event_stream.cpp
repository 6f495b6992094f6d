// SPDX-License-Identifier: Apache-2.0
#include "client/event_stream.h"

#include "base/backoff.h"

namespace geres::client {
namespace {

constexpr Millis kSilence = 45'000;  // three heartbeats of the hub
constexpr Millis kFirstPause = 100;
constexpr Millis kLongestPause = 5'000;

bool for_good(const Failure& failure) {
  if (failure.kind == Failure::Kind::untrusted || failure.kind == Failure::Kind::stopped) return true;
  if (failure.kind == Failure::Kind::unreachable) return failure.error.code != Code::unavailable;
  return transport::verdict(failure.status) == transport::Verdict::refused;
}

}  // namespace

EventStream::EventStream(std::shared_ptr<Core> core, transport::Query query, std::string after, Listener listener)
    : core_(std::move(core)), query_(std::move(query)), position_(std::move(after)), listener_(std::move(listener)) {}

void EventStream::start() {
  away_since_ = SystemClock().monotonic();
  connect();
}

void EventStream::stop() {
  stopped_ = true;
  if (task_) task_->cancel();
  listener_ = {};
}

void EventStream::connect() {
  if (stopped_) return;
  parser_.reset();
  in_place_ = broken_ = false;
  transport::Call call;
  call.path = "/v1/events";
  call.query = query_;
  call.headers = {{"Accept", "text/event-stream"}};
  if (!position_.empty()) call.headers.emplace_back("Last-Event-ID", position_);
  call.lasting = true;
  call.patience = 0;  // this class itself decides when to connect again
  call.silence_max = kSilence;
  call.sink = [self = shared_from_this()](std::string_view piece) { return self->take(piece); };
  task_ = std::make_shared<Task>();
  core_->call(task_, std::move(call),
              [self = shared_from_this()](Answer<transport::Reply> answer) { self->ended(std::move(answer)); });
}

transport::Take EventStream::take(std::string_view piece) {
  if (stopped_) return transport::Take::enough;
  if (listener_.ready_for_more && !listener_.ready_for_more()) return transport::Take::later;
  broken_ = !parser_.feed(piece, [this](const Frame& frame) { take_frame(frame); });
  return stopped_ || broken_ ? transport::Take::enough : transport::Take::more;
}

void EventStream::take_frame(const Frame& frame) {
  if (stopped_) return;
  if (!frame.id.empty()) position_ = frame.id;
  tries_ = 0;
  away_since_.reset();
  was_in_place_ = true;
  if (!std::exchange(in_place_, true) && listener_.on_in_place) {
    const auto tell = listener_.on_in_place;
    tell();
  }
  if (stopped_ || !listener_.on_frame) return;
  const auto tell = listener_.on_frame;  // a copy, because it may stop this stream
  tell(frame);
}

void EventStream::ended(Answer<transport::Reply> answer) {
  if (stopped_) return;
  Failure failure;
  if (answer)
    failure =
        broken_ ? foreign_failure(answer->status, "an event of more than 16 MiB")
                : Failure{Failure::Kind::unreachable, 0, fail(Code::unavailable, "the hub ended the stream"), nullptr};
  else
    failure = answer.error();
  // The hub's log ends before our position: begin anew, and report it.
  if (failure.status == 400 && failure.error.field == "Last-Event-ID" && was_in_place_) {
    was_in_place_ = false;
    Frame gap;
    gap.type = "gap";
    gap.data = R"({"after":")" + position_ + R"("})";
    gap.has_data = true;
    position_ = "start";
    if (listener_.on_frame) {
      const auto tell = listener_.on_frame;
      tell(gap);
    }
    return connect();
  }
  if (!for_good(failure)) return come_back(failure);
  const auto tell = listener_.on_refused;
  stop();
  if (tell) tell(failure);
}

void EventStream::come_back(const Failure& why) {
  if (!away_since_) away_since_ = SystemClock().monotonic();
  const auto tell = listener_.on_interrupted;
  if (tell) tell(why);
  if (stopped_) return;
  core_->after(backoff(++tries_, kFirstPause, kLongestPause), [self = shared_from_this()] { self->connect(); });
}

}  // namespace geres::client
