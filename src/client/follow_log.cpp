// SPDX-License-Identifier: Apache-2.0
// A log followed to its end. The hub goes from attempt to attempt without a word, so after each connection it is found
// out which byte of which attempt was the last: attempts before the newest do not grow any more, and what they have is
// counted. Steps: look (at the job) → locate (the position) → follow → look → …
#include <algorithm>
#include <atomic>
#include <deque>

#include "client/ask.h"
#include "client/write.h"
#include "geres/client.h"

namespace geres::client {
namespace {

constexpr std::int64_t kQueuedMax = 1 << 20;  // bytes on their way to the callback
constexpr Millis kFirstPause = 100;
constexpr Millis kLongestPause = 2'000;

// How long a log is, and where its last lines begin.
class Measure {
 public:
  explicit Measure(std::int64_t lines) : lines_(std::size_t(std::clamp<std::int64_t>(lines, 0, 1'000'000))) {}
  void take(std::string_view piece) {
    for (const char c : piece) {
      if (at_start_) starts_.push_back(bytes_);
      if (starts_.size() > lines_) starts_.pop_front();
      at_start_ = c == '\n';
      ++bytes_;
    }
  }
  void restart() { bytes_ = 0, at_start_ = true, starts_.clear(); }
  std::int64_t bytes() const { return bytes_; }
  std::int64_t last_lines() const { return starts_.empty() ? bytes_ : starts_.front(); }

 private:
  std::size_t lines_;
  std::int64_t bytes_ = 0;
  bool at_start_ = true;
  std::deque<std::int64_t> starts_;
};

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
    attempt_ = options_.attempt.value_or(job_.attempt);
    offset_ = options_.offset.value_or(0);
    if (!options_.tail || attempt_ == 0) return follow();
    measure(0, *options_.tail, [self = shared_from_this()](const Measure& measured) {
      self->offset_ = measured.last_lines();
      self->follow();
    });
  }

  // Puts `came_` bytes behind attempt_ and offset_.
  void locate() {
    if (attempt_ == 0 && job_.attempt > 0) attempt_ = 1;
    if (came_ == 0 || attempt_ >= job_.attempt) {
      offset_ += std::exchange(came_, 0);
      return follow();
    }
    measure(offset_, 0, [self = shared_from_this()](const Measure& measured) {
      if (self->came_ < measured.bytes()) {
        self->offset_ += std::exchange(self->came_, 0);
        return self->follow();
      }
      self->came_ -= measured.bytes();
      self->offset_ = 0;
      ++self->attempt_;
      self->locate();
    });
  }

  transport::Call log_call(std::int64_t offset) const {
    LogOptions options;
    options.stream = options_.stream;
    if (attempt_ > 0) options.attempt = attempt_;
    if (offset > 0) options.offset = offset;
    auto call = get(job_path(job_id_, "/log"), query_of(options));
    call.lasting = true;
    return call;
  }

  void measure(std::int64_t from, std::int64_t lines, std::function<void(const Measure&)> then) {
    auto measure = std::make_shared<Measure>(lines);
    auto call = log_call(from);
    call.sink = [measure](std::string_view piece) { return measure->take(piece), transport::Take::more; };
    call.restart = [measure] { measure->restart(); };
    core_->call(promise_.task(), std::move(call),
                [self = shared_from_this(), measure, then = std::move(then)](Answer<transport::Reply> answer) {
                  answer ? then(*measure) : self->promise_.fail(answer.error());
                });
  }

  void follow() {
    const bool had_ended = job_.ended();
    auto call = log_call(offset_);
    call.query.emplace_back("follow", "true");
    call.patience = 0;  // coming back is done here
    call.sink = [self = shared_from_this()](std::string_view piece) { return self->hand_over(piece); };
    core_->call(promise_.task(), std::move(call),
                [self = shared_from_this(), had_ended](Answer<transport::Reply> answer) {
                  self->followed(std::move(answer), had_ended);
                });
  }

  // All there is has come when the job had ended before the connection was made.
  void followed(Answer<transport::Reply> answer, bool had_ended) {
    if (answer && had_ended) return tell_end();
    const auto now = SystemClock().monotonic();
    if (answer || came_ > 0) away_since_.reset(), pause_ = 0;
    if (answer) return look();
    const auto failure = answer.error();
    if (!away_since_) away_since_ = now;
    const bool away = (failure.kind == Failure::Kind::unreachable && failure.error.code == Code::unavailable) ||
                      (failure.status >= 502 && failure.status <= 504);
    if (!away || now - *away_since_ > core_->patience()) return promise_.fail(failure);
    pause_ = std::clamp(pause_ * 2, kFirstPause, kLongestPause);
    core_->after(core_->loop().jittered(pause_), [self = shared_from_this()] { self->look(); });
  }

  transport::Take hand_over(std::string_view piece) {
    if (promise_.task()->cancelled()) return transport::Take::enough;
    if (queued_ >= kQueuedMax) {
      waiting_ = true;
      if (queued_ >= kQueuedMax) return transport::Take::later;
      waiting_ = false;
    }
    const auto size = std::int64_t(piece.size());
    came_ += size;
    queued_ += size;
    core_->tell([self = shared_from_this(), text = std::string(piece), size] {
      self->take_(text);
      if ((self->queued_ -= size) <= kQueuedMax / 2 && self->waiting_.exchange(false))
        self->core_->run([self] { self->core_->loop().resume(); });
    });
    return transport::Take::more;
  }

  // Behind the last piece.
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
  int attempt_ = 0;  // 0: there was none yet
  std::int64_t offset_ = 0;
  std::int64_t came_ = 0;  // bytes since then
  std::atomic<std::int64_t> queued_ = 0;
  std::atomic<bool> waiting_ = false;
  std::optional<Millis> away_since_;
  Millis pause_ = 0;
};

}  // namespace

Pending<Job> Async::follow_log(std::string_view job, const LogOptions& options,
                               std::function<void(std::string_view)> take) {
  return std::make_shared<LogFollow>(core_, job, options, std::move(take))->start();
}

}  // namespace geres::client
