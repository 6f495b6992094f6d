// SPDX-License-Identifier: Apache-2.0
#include "worker/session.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cstdio>

#include "base/json.h"
#include "tls/trust.h"
#include "wire/api/job_view.h"

namespace geres::worker {
namespace {

using model::HostMode;
using model::Outcome;

constexpr Millis kNever = Millis(1) << 60;
constexpr Millis kNameTakenMax = 10'000;  // the hub may need a moment to give up an earlier life
constexpr Millis kStartPause = 5, kEndPause = 2, kProgressPause = 1;
constexpr std::size_t kEndsAtOnce = 500;
constexpr Millis kStopBeforeMax = 10'000;

// How long before the end of a lease its handler is asked to stop.
Millis stop_before(Millis ttl) {
  return std::min(ttl / 4, kStopBeforeMax);
}

}  // namespace

Session::Session(Settings settings, Handlers handlers)
    : settings_(std::move(settings)),
      handlers_(std::move(handlers)),
      link_({settings_.hub, tls::or_environment({settings_.options.ca_file, settings_.options.ca_pin}),
             "geres-worker/" GERES_VERSION},
            clock_),
      crew_(settings_.options.concurrency, handlers_, clock_, [this] { link_.post([] {}); }),
      member_(link_, clock_, kNameTakenMax, *this, reports_),
      reports_(member_, held_,
               {[this](const wire::Reported& answer, const std::vector<AttemptPtr>& running, Millis sent_at) {
                  take_report_answer(answer, running, sent_at);
                },
                [this](const AttemptPtr& attempt) { unspeakable(attempt); }}),
      watch_at_(kNever) {
  member_.set_last_id(settings_.last_id);
}

Session::~Session() {
  if (!started_) return;
  stop(0);
  try {
    wait();
  } catch (const Error&) {
  }
}

void Session::start() {
  started_ = true;
  link_.post([this] { member_.join(); });
  link_.start([this] { turn(); });
}

// ---- membership -----------------------------------------------------------------------------------------------------

wire::RegisterHost Session::registration() const {
  wire::RegisterHost body;
  body.name = settings_.name;
  body.slots = settings_.capacity;
  body.labels = settings_.options.labels;
  body.types.emplace();
  for (const auto& [type, handler] : handlers_) body.types->push_back(type);
  body.packages = false;
  if (!settings_.options.tenants.empty()) body.tenants = settings_.options.tenants;
  body.containment = "worker";
  return body;
}

void Session::refused(host::Refusal why, const std::string& problem) {
  switch (why) {
    case host::Refusal::foreign:
      return finish(Error("the answer to registering makes no sense: " + problem, "foreign",
                          "is " + settings_.hub + " a GeRes hub?"));
    case host::Refusal::nameTaken:
      return finish(Error("the name '" + settings_.name + "' is taken: " + problem, "hostAlive",
                          "give this worker another Options::name, or none"));
    case host::Refusal::token:
      return finish(Error("the hub refuses this worker: " + problem, "unauthenticated",
                          "a token with the role host is needed: Options::token or GERES_TOKEN"));
    case host::Refusal::request:
      return finish(Error("the hub refuses this worker: " + problem, "badRequest", "see the hub's answer"));
  }
}

// The hub does not know this worker any more, so none of its leases is current.
void Session::gone() {
  reports_.end();
  member_.set_last_id({});
  std::vector<AttemptPtr> all;
  for (const auto& [lease, attempt] : held_) all.push_back(attempt);
  for (const auto& attempt : all) lose(attempt);
  held_.clear();
  if (member_.stopping()) return;
  say("the hub does not know this worker any more; it registers again");
  member_.join();
}

// ---- each turn of the loop ------------------------------------------------------------------------------------------

void Session::turn() {
  if (finished_) return;
  take_news();
  watch_time();
  if (member_.stopping()) stop_step();
  if (finished_) return;
  member_.pump(wish());
  publish();
}

void Session::take_news() {
  auto news = crew_.collect();
  if (news.empty()) return;
  const bool idle = crew_.load().waiting == 0;
  for (auto& attempt : news.started) {
    if (attempt->timeout > 0) watch_at(attempt->started_at + attempt->timeout);
    if (attempt->dropped) continue;
    reports_.started(std::move(attempt));
    member_.within(kStartPause);
  }
  for (auto& attempt : news.progressed) {
    auto item = crew_.take_progress(*attempt);
    if (!item || attempt->dropped) continue;
    reports_.progressed(std::move(attempt), std::move(*item));
    member_.within(kProgressPause);
  }
  for (auto& attempt : news.ended) {
    --live_;
    ++(attempt->finished.outcome == Outcome::finished ? ended_well_ : ended_otherwise_);
    if (attempt->dropped) continue;
    reports_.ended(std::move(attempt));
    member_.within(idle || reports_.untold_ends() >= kEndsAtOnce ? 0 : kEndPause);
  }
}

// Finds leases that run out and attempts that take too long. Looks at all of them only when one may be due.
void Session::watch_time() {
  const Millis now = clock_.monotonic();
  if (now < watch_at_) return;
  watch_at_ = kNever;
  std::vector<AttemptPtr> lost;
  for (const auto& [lease, attempt] : held_) {
    const auto [stage, started_at] = crew_.stage(*attempt);
    if (stage == Stage::ended) continue;  // its end gets an answer of its own
    if (now >= attempt->deadline) {
      lost.push_back(attempt);
      continue;
    }
    watch_at(attempt->deadline);
    if (stage != Stage::running) continue;
    const Millis ask = attempt->deadline - stop_before(attempt->ttl);
    if (now >= ask)
      crew_.ask_to_stop(attempt, StopReason::lease);
    else
      watch_at(ask);
    if (attempt->timeout == 0) continue;
    if (now >= started_at + attempt->timeout)
      crew_.ask_to_stop(attempt, StopReason::timeout);
    else
      watch_at(started_at + attempt->timeout);
  }
  for (const auto& attempt : lost) {
    say("job " + attempt->id + ": the lease ran out before the hub was reached");
    lose(attempt);
    forget(attempt);
  }
}

void Session::watch_at(Millis at) {
  if (at >= watch_at_) return;
  watch_at_ = at;
  link_.after(at - clock_.monotonic(), [] {});
}

// How many slots the open fetch should name. All of them, because the hub counts which are free. But a fetch costs a
// round trip, so while the handlers have enough to do, the next fetch waits until a quarter of the places are free.
int Session::wish() {
  if (member_.stopping() || member_.mode() != HostMode::run) return 0;
  const bool enough = crew_.load().waiting > 0 && (settings_.capacity - live_) * 4 < settings_.capacity;
  return enough && member_.offered() == 0 ? 0 : settings_.capacity;
}

// ---- what the hub tells ---------------------------------------------------------------------------------------------

void Session::take_in(wire::Fetched fetched, Millis counted_from) {
  std::vector<AttemptPtr> fresh;
  for (auto& grant : fetched.leases)
    if (auto attempt = take_lease(std::move(grant), counted_from)) fresh.push_back(std::move(attempt));
  live_ += int(fresh.size());
  taken_ += std::int64_t(fresh.size());
  crew_.add(std::move(fresh));
  for (const auto& order : fetched.cancel) cancel(order);
  member_.heed(fetched.mode);
}

AttemptPtr Session::take_lease(wire::LeaseGrant grant, Millis counted_from) {
  if (held_.contains(grant.lease)) return nullptr;
  const Millis deadline = host::lease_end(counted_from, grant.ttlMs);
  if (deadline - stop_before(grant.ttlMs) <= clock_.monotonic() ||
      !grant.job.is_object()) {  // it is not named in the next report, so the hub takes it back at once
    say("a lease came too late to be used; given back");
    member_.within(0);
    return nullptr;
  }
  auto attempt = std::make_shared<Attempt>();
  attempt->lease = std::move(grant.lease);
  attempt->ttl = grant.ttlMs;
  attempt->timeout = grant.timeoutMs;
  attempt->number = grant.attempt;
  auto job = wire::job_view(grant.job);
  attempt->id = std::move(job.id);
  attempt->type = std::move(job.type);
  attempt->tenant = std::move(job.tenant);
  attempt->parameter_values = std::move(job.parameters).value_or(nullptr);
  attempt->parameters = boost::json::serialize(attempt->parameter_values);
  attempt->job = boost::json::serialize(grant.job);
  attempt->crew = &crew_;
  attempt->deadline = deadline;
  watch_at(deadline - stop_before(attempt->ttl));
  member_.within(attempt->ttl / 4);
  held_.emplace(attempt->lease, attempt);
  return attempt;
}

void Session::take_report_answer(const wire::Reported& answer, const std::vector<AttemptPtr>& running, Millis sent_at) {
  for (const auto& attempt : running)
    attempt->deadline = std::max(attempt->deadline, host::lease_end(sent_at, attempt->ttl));
  for (const auto& lease : answer.accepted) held_.erase(lease);
  for (const auto& item : answer.refused) {
    const auto it = held_.find(item.lease);
    if (it == held_.end()) continue;
    say("job " + it->second->id + ": its end was refused (" + item.code + ")");
    held_.erase(it);
  }
  for (const auto& lease : answer.lost)
    if (const auto it = held_.find(lease); it != held_.end()) {
      const AttemptPtr attempt = it->second;
      if (crew_.stage(*attempt).first == Stage::ended) continue;  // its end gets an answer of its own
      say("job " + attempt->id + ": the lease is lost");
      lose(attempt);
      forget(attempt);
    }
  for (const auto& order : answer.cancel) cancel(order);
  member_.heed(answer.mode);
}

void Session::cancel(const wire::CancelOrder& order) {
  const auto it = held_.find(order.lease);
  if (it == held_.end()) return;
  const AttemptPtr attempt = it->second;
  if (crew_.stage(*attempt).first == Stage::waiting)
    give_back(attempt, Outcome::cancelled, "cancelled before it started");
  else
    crew_.ask_to_stop(attempt, StopReason::cancel);
}

void Session::mode_changed(HostMode mode) {
  if (mode == HostMode::stop) member_.stop_by(settings_.options.drain.count());
}

// The first time the end is told again without details; if even that is refused the lease is left to expire.
void Session::unspeakable(const AttemptPtr& attempt) {
  say("job " + attempt->id + ": the hub refuses the report of its end");
  if (attempt->plainly_told) {
    attempt->dropped = true;
    return forget(attempt);
  }
  attempt->plainly_told = true;
  attempt->finished = {};
  attempt->finished.lease = attempt->lease;
  attempt->finished.outcome = Outcome::failed;
  attempt->finished.error = "the hub refused the report of how it ended";
}

// Nothing of it is reported any more. The crew keeps it until its handler returns.
void Session::lose(const AttemptPtr& attempt) {
  attempt->dropped = true;
  if (crew_.take_back(*attempt, Outcome::released, {}))
    --live_;
  else
    crew_.ask_to_stop(attempt, StopReason::lease);
}

void Session::give_back(const AttemptPtr& attempt, Outcome outcome, const std::string& error) {
  if (!crew_.take_back(*attempt, outcome, error)) return;
  --live_;
  reports_.ended(attempt);
  member_.within(0);
}

// ---- the end --------------------------------------------------------------------------------------------------------

void Session::stop(Millis drain) {
  link_.post([this, drain] { member_.stop_by(drain); });
}

void Session::stop_step() {
  std::vector<AttemptPtr> all;
  for (const auto& [lease, attempt] : held_) all.push_back(attempt);
  for (const auto& attempt : all) give_back(attempt, Outcome::released, "given back: its worker was stopping");
  if (member_.time_is_up())
    for (const auto& attempt : all) crew_.ask_to_stop(attempt, StopReason::leaving);
  if (live_ > 0) return;
  if (!member_.membership() && !member_.joining()) return finish({});
  if (member_.out_of_reach()) {
    say("the hub cannot be reached; leaving without a word");
    return finish({});
  }
  link_.after(500, [] {});
  if (member_.membership() && held_.empty() && member_.said_goodbye()) finish({});
}

void Session::finish(std::optional<Error> why) {
  if (finished_) return;
  finished_ = true;
  if (why) say(why->what());
  const std::lock_guard lock(mutex_);
  ended_ = true;
  why_ = std::move(why);
  ended_changed_.notify_all();
}

void Session::wait() {
  {
    std::unique_lock lock(mutex_);
    ended_changed_.wait(lock, [this] { return ended_; });
  }
  std::call_once(joined_, [this] {
    link_.stop();
    crew_.close();
  });
  const std::lock_guard lock(mutex_);
  stats_.connected = false;
  if (why_) throw *why_;
}

Stats Session::stats() const {
  const auto load = crew_.load();
  const std::lock_guard lock(mutex_);
  Stats stats = stats_;
  stats.running = load.running;
  stats.waiting = load.waiting;
  return stats;
}

void Session::say(const std::string& line) const {
  if (settings_.options.log) return settings_.options.log(line);
  std::fprintf(stderr, "geres worker %s: %s\n", settings_.name.c_str(), line.c_str());
}

void Session::publish() {
  const std::lock_guard lock(mutex_);
  stats_ = {taken_, ended_well_, ended_otherwise_, 0, 0, member_.membership() && member_.reachable()};
}

}  // namespace geres::worker
