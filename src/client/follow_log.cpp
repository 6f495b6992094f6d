// SPDX-License-Identifier: Apache-2.0
// Follows a job's log to its end. The hub goes on from one attempt to the next without saying so. Therefore, after each
// connection, we find out which byte of which attempt came last: attempts before the newest do not grow any more, and
// the hub says how long they are. Steps: look (at the job) → locate (the position) → follow → look → …
//
// A job that prints nothing and a connection that died without a sign look the same, so after some silence the log is
// followed anew.
#include <algorithm>
#include <atomic>

#include "base/backoff.h"
#include "client/ask.h"
#include "client/pace.h"
#include "client/write.h"
#include "geres/client.h"

namespace geres::client {
namespace {

constexpr std::int64_t kQueuedMax = 1 << 20;  // bytes on their way to the callback
constexpr Millis kFirstPause = 100;
constexpr Millis kLongestPause = 2'000;

// Where in its attempt's log an answer begins.
std::int64_t offset_of(const transport::Reply& reply) {
  return transport::header_number(reply, "geres-offset");
}

class LogFollow : public std::enable_shared_from_this<LogFollow> {
 public:
  LogFollow(std::shared_ptr<Core> core, std::string_view job, const LogOptions& options,
            std::function<void(std::string_view)> take)
      : core_(std::move(core)), job_id_(job), options_(options), take_(std::move(take)), promise_(core_) {}

  Pending<Job> start() {
    core_->run([self = shared_from_this()] { self->look(); });
    return promise_.pending();
  }

 private:
  void look() {
    core_->call(promise_.task(), get(job_path(job_id_)), [self = shared_from_this()](Answer<transport::Reply> answer) {
      const auto document = json_of(answer);
      if (!document) return self->promise_.fail(document.error());
      self->job_ = read_job(*document);
      self->begun_ ? self->locate() : self->begin();
    });
  }

  void begin() {
    begun_ = true;
    attempt_ = options_.attempt.value_or(std::max(job_.attempt, 1));
    offset_ = options_.offset.value_or(0);
    if (!options_.tail || attempt_ > job_.attempt) return follow();
    find_tail(*options_.tail, [self = shared_from_this()](std::int64_t offset) {
      self->offset_ = offset;
      self->follow();
    });
  }

  // Advances attempt_ and offset_ by `came_` bytes.
  void locate() {
    if (came_ == 0 || attempt_ >= job_.attempt) {
      offset_ += std::exchange(came_, 0);
      return follow();
    }
    find_tail(0, [self = shared_from_this()](std::int64_t all) {
      const auto rest = std::max<std::int64_t>(all - self->offset_, 0);
      if (self->came_ < rest) {
        self->offset_ += std::exchange(self->came_, 0);
        return self->follow();
      }
      self->came_ -= rest;
      self->offset_ = 0;
      ++self->attempt_;
      self->locate();
    });
  }

  transport::Call log_call(LogOptions options) const {
    options.stream = options_.stream;
    options.attempt = attempt_;
    auto call = get(job_path(job_id_, "/log"), query_of(options));
    call.lasting = true;
    return call;
  }

  // Finds how many bytes of attempt_ come before its last lines.
  void find_tail(std::int64_t lines, std::function<void(std::int64_t)> then) {
    auto call = log_call({.tail = lines});
    call.sink = [](std::string_view) { return transport::Take::more; };
    call.restart = [] {};
    core_->call(promise_.task(), std::move(call),
                [self = shared_from_this(), then = std::move(then)](Answer<transport::Reply> answer) {
                  answer ? then(offset_of(*answer)) : self->promise_.fail(answer.error());
                });
  }

  void follow() {
    const bool had_ended = job_.ended();
    auto call = log_call({.offset = offset_});
    call.query.emplace_back("follow", "true");
    call.patience = 0;  // this class itself connects again
    call.silence_max = silence_max();
    asked_ = heard_ = SystemClock().monotonic();
    call.sink = [self = shared_from_this()](std::string_view piece) { return self->hand_over(piece); };
    core_->call(promise_.task(), std::move(call),
                [self = shared_from_this(), had_ended](Answer<transport::Reply> answer) {
                  self->followed(std::move(answer), had_ended);
                });
  }

  // If the job had ended before the connection was made, everything has arrived.
  void followed(Answer<transport::Reply> answer, bool had_ended) {
    if (answer && had_ended) return tell_end();
    const auto now = SystemClock().monotonic();
    const bool silent = !answer && now - heard_ >= silence_max();
    if (answer || silent || came_ > 0) away_since_.reset(), tries_ = 0;
    if (came_ > 0) pace_.news();
    if (silent) return look();
    if (answer) return look_after(pace_.after(now - asked_));
    const auto failure = answer.error();
    if (!away_since_) away_since_ = now;
    if (!transport::passing(failure) || now - *away_since_ > core_->patience()) return promise_.fail(failure);
    look_after(backoff(++tries_, kFirstPause, kLongestPause));
  }

  void look_after(Millis pause) {
    if (pause == 0) return look();
    core_->after(pause, [self = shared_from_this()] { self->look(); });
  }

  Millis silence_max() const { return core_->loop().options().answer_time_max; }

  transport::Take hand_over(std::string_view piece) {
    if (promise_.task()->cancelled()) return transport::Take::enough;
    if (queued_ >= kQueuedMax) {
      waiting_ = true;
      if (queued_ >= kQueuedMax) return transport::Take::later;
      waiting_ = false;
    }
    const auto size = std::int64_t(piece.size());
    heard_ = SystemClock().monotonic();
    came_ += size;
    queued_ += size;
    core_->tell([self = shared_from_this(), text = std::string(piece), size] {
      self->take_(text);
      if ((self->queued_ -= size) <= kQueuedMax / 2 && self->waiting_.exchange(false))
        self->core_->run([self] { self->core_->loop().resume(); });
    });
    return transport::Take::more;
  }

  // After the last piece.
  void tell_end() {
    core_->tell([self = shared_from_this()] { self->core_->run([self] { self->promise_.keep(self->job_); }); });
  }

  std::shared_ptr<Core> core_;
  const std::string job_id_;
  const LogOptions options_;
  const std::function<void(std::string_view)> take_;
  Promise<Job> promise_;
  Job job_;
  bool begun_ = false;
  int attempt_ = 0;  // where the connection began …
  std::int64_t offset_ = 0;
  std::int64_t came_ = 0;  // … and the bytes since then, perhaps of later attempts
  std::atomic<std::int64_t> queued_ = 0;
  std::atomic<bool> waiting_ = false;
  std::optional<Millis> away_since_;
  int tries_ = 0;
  Millis asked_ = 0, heard_ = 0;  // when the current follow began, and when its last piece came
  Pace pace_;
};

}  // namespace

Pending<Job> Async::follow_log(std::string_view job, const LogOptions& options,
                               std::function<void(std::string_view)> take) {
  return std::make_shared<LogFollow>(core_, job, options, std::move(take))->start();
}

}  // namespace geres::client
