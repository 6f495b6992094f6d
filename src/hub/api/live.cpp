// SPDX-License-Identifier: Apache-2.0
#include "hub/api/live.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "http/websocket.h"
#include "hub/api/event_filter.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "model/job.h"
#include "model/job_transitions.h"
#include "wire/api/live_shapes.h"

namespace geres::hub::api {
namespace {

constexpr std::size_t kJobsMax = 200;
constexpr std::size_t kEventsAtOnce = 1'000;
constexpr Millis kLookEvery = 250;      // at most
constexpr Millis kStatusEvery = 1'000;  // likewise
constexpr Millis kRightsEvery = 2'000;  // whether the caller may still look
constexpr auto kSignedOut = http::WebSocket::Close(4'401);

struct WatchedLog {
  logs::LogName name;
  std::int64_t told_size = -1;
  bool told_end = false;
};

std::string message(std::string_view name, json::value value) {
  return boost::json::serialize(json::object{{name, std::move(value)}});
}

// One browser. Everything runs on the socket's loop but look(), which blocks, on a worker's thread meanwhile.
class Watcher {
 public:
  Watcher(Call& call, http::WebSocket& socket) : call_(call), api_(call.api), socket_(socket) {}

  awaitable<void> serve() {
    socket_.on_change([this] { rung_->bell.ring(); });
    while (!socket_.closed()) {
      if (call_.request.cancellation.cancelled()) co_return co_await leave();
      if (!api_.access.current(call_.who, api_.clock.wall()))
        co_return co_await socket_.close(kSignedOut, "the session is over: sign in again");
      if (auto ok = take_messages(); !ok)
        co_return co_await socket_.close(http::WebSocket::Close::policy, reason_of(ok.error()));
      if (!co_await tell()) co_return;
      co_await rung_->bell.wait(call_.request.cancellation, until_next());
    }
  }

 private:
  // Of readers and subscriptions, which may ring until they are gone.
  struct Rung {
    http::Bell bell;
    std::atomic<bool> news = true;
    void operator()() {
      news = true;
      bell.ring();
    }
  };

  static std::string reason_of(const Error& error) {
    return error.field.empty() ? error.message : error.field + ": " + error.message;
  }

  awaitable<void> leave() {
    if (call_.request.cancellation.why() == http::Cancellation::Why::stopping)
      co_await socket_.close(http::WebSocket::Close::goingAway, "the hub stops");
  }

  Result<void> take_messages() {
    while (auto text = socket_.next()) {
      auto shape = json::read_text<wire::LiveShape>(*text);
      if (!shape) return shape.error();
      if (auto ok = take(std::move(shape->watch)); !ok) return ok.error();
    }
    return {};
  }

  Result<void> take(wire::WatchShape watch) {
    std::vector<Uuid> jobs;
    const auto names = watch.jobs.value_or(std::vector<std::string>());
    if (names.size() > kJobsMax) return fail(Code::tooMany, fmt::format("at most {}", kJobsMax), "/watch/jobs");
    for (const auto& name : names) {
      const auto id = parse_uuid(name);
      if (!id) return fail(Code::badValue, "not a job id", "/watch/jobs");
      jobs.push_back(*id);
    }
    std::optional<WatchedLog> log;
    if (watch.log) {
      const auto job = parse_uuid(watch.log->job);
      const auto stream = logs::parse_stream(watch.log->stream);
      if (!job) return fail(Code::badValue, "not a job id", "/watch/log/job");
      if (!stream) return fail(Code::badValue, "stdout or stderr", "/watch/log/stream");
      if (watch.log->attempt < 1 || watch.log->attempt > 1'000'000'000)
        return fail(Code::badValue, "1 or more", "/watch/log/attempt");
      log = WatchedLog{{*job, int(watch.log->attempt), *stream}};
    }
    watch_jobs(std::move(jobs));
    watch_log(std::move(log));
    watch_new(watch.newJobs.value_or(false));
    if (!watch.status.value_or(false)) status_told_ = nullptr;
    status_ = watch.status.value_or(false);
    rung_->news = true;
    return {};
  }

  std::unique_ptr<events::Reader> follow(events::Filter filter) {
    return std::make_unique<events::Reader>(api_.tail, std::move(filter), api_.tail.last(),
                                            [rung = rung_] { (*rung)(); });
  }

  // Jobs that are new among the watched are told as they are: what happened to them before this watch was not heard.
  void watch_jobs(std::vector<Uuid> jobs) {
    std::sort(jobs.begin(), jobs.end());
    jobs.erase(std::unique(jobs.begin(), jobs.end()), jobs.end());
    if (jobs == watched_) return;
    for (const auto job : jobs)
      if (!std::binary_search(watched_.begin(), watched_.end(), job)) changed_.push_back(job);
    watched_ = std::move(jobs);
    auto filter = events_visible_to(call_.who);
    filter.hosts = false;
    filter.jobs = watched_;
    const auto older = std::exchange(jobs_, watched_.empty() ? nullptr : follow(std::move(filter)));
    if (older && !read_on(*older, [&](const store::EventRow& event) { changed_.push_back(event.subject); }))
      changed_ = watched_;
    std::erase_if(changed_, [&](Uuid job) { return !std::binary_search(watched_.begin(), watched_.end(), job); });
  }

  void watch_log(std::optional<WatchedLog> log) {
    log_grows_.reset();
    log_ = std::move(log);
    if (log_)
      log_grows_.emplace(api_.feed.subscribe(log_->name.job, events::Feed::changed | events::Feed::log,
                                             [rung = rung_] { (*rung)(); }));
  }

  void watch_new(bool wanted) {
    submitted_ = 0;
    submitted_told_ = 0;
    auto filter = events_visible_to(call_.who);
    filter.hosts = false;
    filter.types = events::Filter::bit(store::EventType::job_submitted);
    new_jobs_ = wanted ? follow(std::move(filter)) : nullptr;
  }

  // What has come. False: some of it only the store has, which this thread must not wait for.
  template <class Take>
  static bool read_on(events::Reader& reader, Take take) {
    while (!reader.behind()) {
      const auto page = reader.read(kEventsAtOnce);
      for (const auto& told : page.events) take(told.row());
      if (page.gap_until) return false;
      if (!page.more) return true;
    }
    return false;
  }

  // False: the client takes nothing more.
  awaitable<bool> tell() {
    const auto now = api_.clock.monotonic();
    if (rung_->news && now >= look_at_) {
      rung_->news = false;
      look_at_ = now + kLookEvery;
      auto look = [this] { return this->look(); };
      const auto messages = co_await http::run_on(api_.carriers, look);
      for (const auto& text : messages)
        if (!co_await socket_.send(text)) co_return false;
    }
    if (status_ && now >= status_at_) {
      status_at_ = now + kStatusEvery;
      const auto text = co_await api_.live->status(call_);
      if (text && (!status_told_ || *text != *status_told_)) {
        status_told_ = text;
        if (!co_await socket_.send(*text)) co_return false;
      }
    }
    co_return true;
  }

  Millis until_next() const {
    const auto now = api_.clock.monotonic();
    Millis at = now + kRightsEvery;
    if (status_) at = std::min(at, status_at_);
    if (rung_->news) at = std::min(at, look_at_);
    return std::max<Millis>(at - now, 1);
  }

  std::vector<std::string> look() {
    std::vector<std::string> messages;
    bool gap = false;
    const auto drain = [&](events::Reader* reader, auto take) {
      for (bool more = reader != nullptr; more;) {
        const auto page = reader->read(kEventsAtOnce);
        gap |= page.gap_until.has_value();
        for (const auto& told : page.events) take(told.row());
        more = page.more || page.gap_until;
      }
    };
    drain(jobs_.get(), [&](const store::EventRow& event) { changed_.push_back(event.subject); });
    drain(new_jobs_.get(), [&](const store::EventRow&) { ++submitted_; });
    if (gap) messages.push_back(message("gap", true));
    look_at_jobs(messages);
    look_at_log(messages);
    if (submitted_ > submitted_told_) messages.push_back(message("newJobs", submitted_told_ = submitted_));
    return messages;
  }

  void look_at_jobs(std::vector<std::string>& messages) {
    if (changed_.empty()) return;
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    store::JobFilter filter;
    filter.tenants = call_.who.tenants;
    filter.ids = std::exchange(changed_, {});
    for (const auto& job : api_.reads.jobs(filter, {.limit = kJobsMax}).jobs)
      messages.push_back(message("job", show_job_here(api_, job)));
  }

  // Pieces of a log are stored before the report of the attempt's end: who sees the end sees the whole size.
  void look_at_log(std::vector<std::string>& messages) {
    if (!log_ || log_->told_end) return;
    const auto job = find_job(api_, log_->name.job);
    if (!job || !call_.who.sees(job->tenant)) return;
    const bool ended = job->attempt > log_->name.attempt || model::ended(job->state) ||
                       (job->attempt == log_->name.attempt && !has_lease(job->state));
    const auto found = api_.logs.size(log_->name);
    if (!found) return;  // whoever reads it is told why
    const auto size = *found;
    if (size == log_->told_size && ended == log_->told_end) return;
    log_->told_size = size;
    log_->told_end = ended;
    messages.push_back(message("log", json::object{{"job", std::string_view(log_->name.job.str())},
                                                   {"attempt", log_->name.attempt},
                                                   {"stream", logs::stream_name(log_->name.stream)},
                                                   {"size", size},
                                                   {"ended", ended}}));
  }

  static bool has_lease(model::JobState state) {
    return state == model::JobState::leased || state == model::JobState::running;
  }

  Call& call_;
  Api& api_;
  http::WebSocket& socket_;
  std::shared_ptr<Rung> rung_ = std::make_shared<Rung>();
  std::vector<Uuid> watched_, changed_;
  std::unique_ptr<events::Reader> jobs_, new_jobs_;
  std::optional<WatchedLog> log_;
  std::optional<events::Feed::Subscription> log_grows_;
  std::int64_t submitted_ = 0, submitted_told_ = 0;
  bool status_ = false;
  Live::Text status_told_;
  Millis look_at_ = 0, status_at_ = 0;
};

awaitable<void> serve_socket(Api& api, http::Request& request, const Identity& who, http::WebSocket& socket) {
  Call call{api, request, who};
  Watcher watcher(call, socket);
  co_await watcher.serve();
}

}  // namespace

// True: the caller makes it anew.
bool Live::claim(const std::vector<std::string>& tenants, Millis now, Text& text) {
  const std::lock_guard lock(mutex_);
  std::erase_if(by_tenants_, [&](const auto& item) {
    return !item.second.making && item.second.text && item.second.made_at + kForgotten <= now;
  });
  auto& entry = by_tenants_[tenants];
  text = entry.text;
  // A little early is soon enough: those who look once a second do so a little late.
  if (entry.making || (entry.text && now < entry.made_at + kEvery * 9 / 10)) return false;
  return entry.making = true;
}

void Live::put(const std::vector<std::string>& tenants, Millis now, Text text) {
  const std::lock_guard lock(mutex_);
  auto& entry = by_tenants_[tenants];
  entry.making = false;
  entry.made_at = now;
  if (text) entry.text = std::move(text);
}

awaitable<Live::Text> Live::status(Call& call) {
  struct Claimed {  // given back whatever happens
    Live& live;
    Call& call;
    Text text = nullptr;
    ~Claimed() { live.put(call.who.tenants, call.api.clock.monotonic(), std::move(text)); }
  };
  Text text;
  if (!claim(call.who.tenants, call.api.clock.monotonic(), text)) co_return text;
  Claimed claimed{*this, call};
  auto body = co_await status_of(call, {});
  if (!body) co_return text;
  claimed.text = std::make_shared<const std::string>(message("status", std::move(*body)));
  co_return claimed.text;
}

awaitable<Answered> open_live(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"access_token"}); !ok) co_return ok.error();
  if (!http::wants_websocket(call.request))
    co_return fail(Code::badRequest, "this is a WebSocket", "Upgrade",
                   "open it as one: new WebSocket(\"wss://…/v1/live\")");
  http::Response response;
  response.websocket = [&api = call.api, &request = call.request, &who = call.who](http::WebSocket& socket) {
    return serve_socket(api, request, who, socket);
  };
  co_return response;
}

}  // namespace geres::hub::api
