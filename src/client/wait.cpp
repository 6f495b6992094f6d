// SPDX-License-Identifier: Apache-2.0
// Waiting for jobs: for one by a long poll, for many by one stream of ends. The stream is in place before the jobs are
// looked at, so each end is seen either by the look or in the stream.
#include <algorithm>
#include <map>
#include <set>

#include "client/ask.h"
#include "client/event_stream.h"
#include "client/pace.h"
#include "client/write.h"
#include "geres/client.h"

namespace geres::client {
namespace {

constexpr Millis kPoll = 30'000;
constexpr Millis kLateMax = 2'000;      // beyond the caller's limit, for a hub that answers slowly
constexpr std::size_t kNamedMax = 100;  // jobs in a filter

Millis now() {
  return SystemClock().monotonic();
}

std::optional<Millis> deadline_after(const std::optional<milliseconds>& limit) {
  if (!limit) return std::nullopt;
  return now() + std::clamp<Millis>(limit->count(), 0, 1'000'000'000'000);
}

class OneWait : public std::enable_shared_from_this<OneWait> {
 public:
  OneWait(std::shared_ptr<Core> core, std::string_view job, std::optional<milliseconds> limit)
      : core_(std::move(core)), path_(job_path(job)), deadline_(deadline_after(limit)), promise_(core_) {}

  Pending<Job> start() {
    core_->run([self = shared_from_this()] { self->poll(); });
    return promise_.pending();
  }

 private:
  void poll() {
    const Millis wait = deadline_ ? std::clamp<Millis>(*deadline_ - now(), 0, kPoll) : kPoll;
    auto call = get(path_);
    if (wait > 0) call.query.emplace_back("wait", format_duration(wait));
    const Millis late_max = core_->loop().options().answer_time_max;
    call.time_max = wait + (deadline_ ? std::min(late_max, kLateMax) : late_max);
    call.lasting = true;
    if (deadline_) call.patience = std::clamp<Millis>(*deadline_ - now(), 0, core_->patience());
    const auto asked = now();
    core_->call(promise_.task(), std::move(call), [self = shared_from_this(), asked](Answer<transport::Reply> answer) {
      const auto document = json_of(answer);
      if (!document) return self->promise_.fail(document.error());
      auto job = read_job(*document);
      const bool over = self->deadline_ && now() >= *self->deadline_;
      if (job.ended() || over) return self->promise_.keep(std::move(job));
      self->poll_after(self->pace_.after(now() - asked));
    });
  }

  void poll_after(Millis pause) {
    if (pause == 0) return poll();
    if (deadline_) pause = std::clamp<Millis>(*deadline_ - now(), 0, pause);
    core_->after(pause, [self = shared_from_this()] { self->poll(); });
  }

  std::shared_ptr<Core> core_;
  std::string path_;
  std::optional<Millis> deadline_;
  Promise<Job> promise_;
  Pace pace_;
};

class ManyWait : public std::enable_shared_from_this<ManyWait> {
 public:
  // Waits for `count` of them. `all`: returns them in the order given, including those that have not ended.
  ManyWait(std::shared_ptr<Core> core, std::vector<std::string> ids, std::size_t count, bool all,
           std::optional<milliseconds> limit)
      : core_(std::move(core)),
        ids_(std::move(ids)),
        open_(ids_.begin(), ids_.end()),
        named_(open_.size()),
        count_(all ? named_ : std::min(count, named_)),
        all_(all),
        deadline_(deadline_after(limit)),
        promise_(core_) {}

  Pending<std::vector<Job>> start() {
    core_->run([self = shared_from_this()] { self->begin(); });
    return promise_.pending();
  }

 private:
  void begin() {
    if (count_ == 0) return promise_.keep({});
    const auto self = shared_from_this();
    EventFilter filter;
    filter.types = {"geres.job.finished", "geres.job.failed", "geres.job.cancelled"};
    if (ids_.size() <= kNamedMax) filter.jobs = ids_;
    EventStream::Listener listener;
    listener.on_in_place = [self] {
      if (!std::exchange(self->looked_, true)) self->look_at_all();
    };
    listener.on_frame = [self](const Frame& frame) { self->take(frame); };
    listener.on_interrupted = [self](const Failure& failure) { self->interrupted(failure); };
    listener.on_refused = [self](const Failure& failure) { self->fail(failure); };
    stream_ = std::make_shared<EventStream>(core_, query_of(filter), std::string(), std::move(listener));
    promise_.task()->on_cancel([self] { self->fail(stopped_failure()); });
    if (deadline_) {
      core_->after(*deadline_ - now(), [self] { self->time_is_up(); });
      core_->after(*deadline_ - now() + kLateMax, [self] { self->silent(); });
    }
    stream_->start();
  }

  void look_at_all() {
    const auto ids = open_;
    for (const auto& id : ids) look(id);
  }

  void look(const std::string& id) {
    core_->call(looks_, get(job_path(id)), [self = shared_from_this(), id](Answer<transport::Reply> answer) {
      if (self->over_) return;
      const auto document = json_of(answer);
      if (!document) return self->fail(document.error());
      self->seen(id, read_job(*document));
    });
  }

  void seen(const std::string& id, Job job) {
    const bool end = job.ended();
    jobs_[id] = std::move(job);
    if (!end || open_.erase(id) == 0) return check();
    in_order_.push_back(id);
    check();
  }

  void check() {
    // Even a wait without time left looks at each job once.
    const bool over = deadline_ && now() >= *deadline_ && jobs_.size() >= named_;
    if (in_order_.size() >= count_ || over) finish();
  }

  void take(const Frame& frame) {
    if (!frame.has_data || over_) return;
    if (frame.type == "gap") return look_at_all();
    const auto document = json::parse(frame.data);
    if (!document) return;
    // The event lacks the parameters, and the caller wants the whole job.
    const auto id = text_of(*document, "subject");
    if (open_.contains(id)) look(id);
  }

  void interrupted(const Failure& failure) {
    last_trouble_ = failure;
    const bool late = deadline_ && now() >= *deadline_ && !looked_;
    if (late || now() - stream_->away_since().value_or(now()) > core_->patience()) fail(failure);
  }

  // A slow hub still gets to answer, but not one that is away.
  void time_is_up() {
    if (over_) return;
    if (jobs_.size() >= named_) return finish();
    if (!looked_ && last_trouble_) fail(*last_trouble_);
  }

  void silent() {
    if (over_) return;
    if (jobs_.size() >= named_) return finish();
    fail(last_trouble_.value_or(Failure{Failure::Kind::unreachable, 0,
                                        geres::fail(Code::unavailable, "the hub did not answer in time"), nullptr}));
  }

  void finish() {
    end();
    std::vector<Job> jobs;
    for (const auto& id : all_ ? ids_ : in_order_) jobs.push_back(jobs_[id]);
    jobs_.clear();  // the limit's timer may keep this object for long
    promise_.keep(std::move(jobs));
  }

  void fail(const Failure& failure) {
    end();
    promise_.fail(failure);
  }

  // Called first, because cancelling calls back, which must not change anything any more.
  void end() {
    over_ = true;
    if (stream_) stream_->stop();
    looks_->cancel();
    promise_.task()->on_cancel(nullptr);
  }

  std::shared_ptr<Core> core_;
  const std::vector<std::string> ids_;
  std::set<std::string> open_;
  const std::size_t named_;
  const std::size_t count_;
  const bool all_;
  const std::optional<Millis> deadline_;
  Promise<std::vector<Job>> promise_;
  std::shared_ptr<EventStream> stream_;
  std::shared_ptr<Task> looks_ = std::make_shared<Task>();
  std::map<std::string, Job> jobs_;
  std::vector<std::string> in_order_;
  std::optional<Failure> last_trouble_;
  bool looked_ = false;
  bool over_ = false;
};

}  // namespace

Pending<Job> Async::wait(std::string_view job, std::optional<milliseconds> limit) {
  return std::make_shared<OneWait>(core_, job, limit)->start();
}

Pending<std::vector<Job>> Async::wait_all(std::vector<std::string> jobs, std::optional<milliseconds> limit) {
  return std::make_shared<ManyWait>(core_, std::move(jobs), 0, true, limit)->start();
}

Pending<std::vector<Job>> Async::wait_some(std::vector<std::string> jobs, std::size_t count,
                                           std::optional<milliseconds> limit) {
  return std::make_shared<ManyWait>(core_, std::move(jobs), count, false, limit)->start();
}

}  // namespace geres::client
