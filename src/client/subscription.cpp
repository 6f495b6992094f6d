// SPDX-License-Identifier: Apache-2.0
// From a stream of events to a user's handlers. Frames are parsed on the network thread and queued for the callback
// thread; when the queue is long, the stream waits.
#include <atomic>
#include <map>
#include <set>

#include "client/ask.h"
#include "client/event_stream.h"
#include "client/write.h"
#include "geres/client.h"

namespace geres::client {
namespace {

constexpr int kQueuedMax = 1'000;

std::vector<std::string> types_for(const EventFilter& filter, const Handlers& handlers) {
  if (!filter.types.empty() || handlers.on_event) return filter.types;
  std::vector<std::string> types;
  if (handlers.on_started) types.emplace_back("geres.job.started");
  if (handlers.on_progressed) types.emplace_back("geres.job.progressed");
  if (handlers.on_completed || types.empty())
    for (const auto* type : {"geres.job.finished", "geres.job.failed", "geres.job.cancelled"}) types.emplace_back(type);
  return types;
}

bool of_an_end(const std::string& type) {
  return type == "geres.job.finished" || type == "geres.job.failed" || type == "geres.job.cancelled";
}

}  // namespace

struct Subscription::Impl : std::enable_shared_from_this<Subscription::Impl> {
  Impl(std::shared_ptr<Core> core, EventFilter filter, Handlers handlers)
      : core(std::move(core)), filter(std::move(filter)), handlers(std::move(handlers)) {}

  using Ready = Promise<std::shared_ptr<Subscription>>;

  // ---- network thread ----
  void start(const Ready& when_ready) {
    ready = when_ready;
    auto query_filter = filter;
    query_filter.types = types_for(filter, handlers);
    EventStream::Listener listener;
    const auto self = shared_from_this();
    listener.ready_for_more = [self] { return self->room(); };
    listener.on_in_place = [self] { self->in_place(); };
    listener.on_frame = [self](const Frame& frame) { self->take(frame); };
    listener.on_interrupted = [self](const Failure& failure) { self->interrupted(failure); };
    listener.on_refused = [self](const Failure& failure) { self->refused(failure); };
    stream = std::make_shared<EventStream>(core, query_of(query_filter), filter.after, std::move(listener));
    ready->task()->on_cancel([self] { self->give_up(stopped_failure()); });
    stream->start();
  }

  void in_place() {
    if (!ready) return;
    remember(stream->position());
    const auto told = *std::exchange(ready, std::nullopt);  // otherwise it would keep alive what holds it
    told.task()->on_cancel(nullptr);
    told.keep(std::shared_ptr<Subscription>(new Subscription(shared_from_this())));
    look_at_jobs();
  }

  void give_up(const Failure& failure) {
    close();
    if (const auto told = std::exchange(ready, std::nullopt)) told->fail(failure);
  }

  void interrupted(const Failure& failure) {
    const auto now = SystemClock().monotonic();
    if (ready && now - stream->away_since().value_or(now) > core->patience()) return give_up(failure);
    if (!handlers.on_interrupted || std::exchange(told_interrupted, true)) return;
    post([self = shared_from_this(), why = failure.error.message] { self->handlers.on_interrupted(why); });
  }

  void refused(const Failure& failure) {
    if (ready) return give_up(failure);
    if (failure.kind == Failure::Kind::stopped || !handlers.on_ended) return;
    post([self = shared_from_this(), failure] {
      try {
        std::rethrow_exception(exception_of(failure));
      } catch (const Error& error) {
        self->handlers.on_ended(error);
      }
    });
  }

  // Reports what is already true of the jobs once, whatever the stream says about it later.
  void look_at_jobs() {
    for (const auto& id : filter.jobs)
      core->call(looks, get(job_path(id)), [self = shared_from_this()](Answer<transport::Reply> answer) {
        const auto document = json_of(answer);
        if (!document || self->closed) return;  // the hub is away for long, or the job is purged: the stream goes on
        const auto job = read_job(*document);
        const bool started = job.started_at && (job.state == State::running || job.ended());
        if (started && self->begun(job) && self->handlers.on_started)
          self->post([self, job] { self->handlers.on_started(job); });
        if (job.ended() && self->done.insert(job.id).second && self->handlers.on_completed)
          self->post([self, job] { self->handlers.on_completed(job); });
      });
  }

  // True the first time for each attempt.
  bool begun(const Job& job) {
    if (filter.jobs.empty()) return true;
    auto& attempt = attempts[job.id];
    if (job.attempt <= attempt) return false;
    attempt = job.attempt;
    return true;
  }

  void take(const Frame& frame) {
    told_interrupted = false;
    if (!frame.has_data) {  // only a position
      if (queued == 0) remember(frame.id);
      return;
    }
    const auto document = json::parse(frame.data);
    if (!document) return;
    if (frame.type == "gap") return gap(*document, frame.id);
    const auto event = read_event(*document);
    auto job =
        event.type.starts_with("geres.job.") ? std::optional(read_job(member_of(*document, "data"))) : std::nullopt;
    const bool tell_start = job && event.type == "geres.job.started" && begun(*job);
    const bool tell_end = job && of_an_end(event.type) && (filter.jobs.empty() || done.insert(job->id).second);
    post([self = shared_from_this(), event, job = std::move(job), tell_start, tell_end] {
      const auto& to = self->handlers;
      if (to.on_event) to.on_event(event);
      if (self->closed) return;
      if (tell_start && to.on_started) to.on_started(*job);
      if (job && event.type == "geres.job.progressed" && to.on_progressed)
        to.on_progressed(*job, job->progress.value_or(Progress{}));
      if (tell_end && to.on_completed) to.on_completed(*job);
      self->remember(event.id);
    });
  }

  void gap(const json::value& data, const std::string& id) {
    if (handlers.on_gap)
      post([self = shared_from_this(), gap = Gap{text_of(data, "after"), text_of(data, "until")}, id] {
        self->handlers.on_gap(gap);
        self->remember(id);
      });
    look_at_jobs();  // to find what is missing because of the gap
  }

  bool room() {
    if (queued < kQueuedMax) return true;
    waiting = true;
    if (queued >= kQueuedMax) return false;
    waiting = false;
    return true;
  }

  void close() {
    closed = true;
    looks->cancel();
    if (stream) stream->stop();
  }

  // ---- the way to the callback thread ----
  void post(std::function<void()> words) {
    ++queued;
    core->tell([self = shared_from_this(), words = std::move(words)] {
      {
        const std::lock_guard lock(self->handling);
        if (!self->closed) words();
      }
      if (--self->queued <= kQueuedMax / 2 && self->waiting.exchange(false))
        self->core->run([self] { self->core->loop().resume(); });
    });
  }

  void remember(const std::string& id) {
    if (id.empty()) return;
    const std::lock_guard lock(position_mutex);
    position = id;
  }

  void stop() {
    if (core->forked()) return;
    closed = true;
    core->run([self = shared_from_this()] { self->close(); });
    if (!core->on_own_thread()) const std::lock_guard wait(handling);
  }

  std::shared_ptr<Core> core;
  const EventFilter filter;
  const Handlers handlers;

  std::optional<Ready> ready;  // until the stream is in place. From here to `looks`: network thread
  std::shared_ptr<EventStream> stream;
  std::map<std::string, int> attempts;
  std::set<std::string> done;
  bool told_interrupted = false;
  std::shared_ptr<Task> looks = std::make_shared<Task>();

  std::atomic<bool> closed = false;
  std::atomic<int> queued = 0;
  std::atomic<bool> waiting = false;
  std::mutex handling;  // held while a handler runs
  mutable std::mutex position_mutex;
  std::string position;
};

Subscription::Subscription() noexcept = default;
Subscription::Subscription(std::shared_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Subscription::Subscription(Subscription&&) noexcept = default;
Subscription& Subscription::operator=(Subscription&& other) noexcept {
  if (impl_ && impl_ != other.impl_) impl_->stop();
  impl_ = std::move(other.impl_);
  return *this;
}
Subscription::~Subscription() {
  stop();
}

void Subscription::stop() {
  if (impl_) impl_->stop();
}

std::string Subscription::position() const {
  if (!impl_) return {};
  const std::lock_guard lock(impl_->position_mutex);
  return impl_->position;
}

Pending<std::shared_ptr<Subscription>> Async::subscribe(const EventFilter& filter, Handlers handlers) {
  Promise<std::shared_ptr<Subscription>> ready(core_);
  auto impl = std::make_shared<Subscription::Impl>(core_, filter, std::move(handlers));
  core_->run([impl, ready] { impl->start(ready); });
  return ready.pending();
}

}  // namespace geres::client
