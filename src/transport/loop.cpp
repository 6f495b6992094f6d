// SPDX-License-Identifier: Apache-2.0
#include "transport/loop.h"

#include <curl/curl.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "base/backoff.h"
#include "base/sha256.h"
#include "transport/exchange.h"

namespace geres::transport {
namespace {

constexpr Millis kFirstPause = 100;
constexpr Millis kLongestPause = 2'000;
constexpr Millis kWell = 1'000;
constexpr std::size_t kHandlesKept = 64;

Millis now() {
  return SystemClock().monotonic();
}

bool may_be_repeated(const Call& call) {
  return call.method != "POST" && call.method != "PATCH" ? true : call.repeatable;
}

// For an upload libcurl itself limits the silence.
bool watched(const Call& call) {
  return call.silence_max > 0 && !call.uploads();
}

Failure stopped() {
  return Failure{Failure::Kind::stopped, 0, fail(Code::unavailable, "the call was ended by its caller"), nullptr};
}

}  // namespace

struct Loop::Exchange {
  Id id = 0;
  Call call;
  Done done;
  CURL* easy = nullptr;
  std::unique_ptr<Try> under_way;  // none while it waits for a connection or its next try
  Millis try_begun = 0;
  Millis away_since = 0;
  int tries = 0;
  bool told = false;  // on_retry was called
  bool maybe_done = false;
  std::optional<Call> linked;   // instead of `call`: what the hub has sent it to
  std::string digest;           // … which must have this SHA-256; empty: not known
  std::optional<Sha256> taken;  // of what the sink got from there
};

struct Loop::Curl {
  Curl() {
    prepare();
    multi = curl_multi_init();
    if (multi == nullptr) throw std::bad_alloc();
  }
  ~Curl() {
    for (auto* easy : spare) curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }
  CURL* take() {
    if (spare.empty()) {
      auto* easy = curl_easy_init();
      if (easy == nullptr) throw std::bad_alloc();
      return easy;
    }
    auto* easy = spare.back();
    spare.pop_back();
    return easy;
  }
  void give_back(CURL* easy) {
    if (spare.size() < kHandlesKept)
      spare.push_back(easy);
    else
      curl_easy_cleanup(easy);
  }
  CURLM* multi = nullptr;  // owns the connections
  std::vector<CURL*> spare;
};

void Loop::prepare() {
  static const bool once = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  if (!once) throw std::runtime_error("libcurl does not start");
}

Loop::Loop(Options options) : options_(std::move(options)), curl_(std::make_unique<Curl>()) {
  curl_multi_setopt(curl_->multi, CURLMOPT_MAXCONNECTS, long(options_.connections_max + 16));
}

Loop::~Loop() {
  drop();
}

void Loop::drop() {
  const auto dropped = std::exchange(exchanges_, {});
  for (const auto& [id, exchange] : dropped) release(*exchange);
  waiting_.clear();
  timers_.clear();
  watched_ = 0;
}

Loop::Id Loop::start(Call call, Done done) {
  auto exchange = std::make_unique<Exchange>();
  const auto id = exchange->id = ++last_;
  exchange->call = std::move(call);
  exchange->done = std::move(done);
  if (watched(exchange->call)) ++watched_;
  exchanges_.emplace(id, std::move(exchange));
  waiting_.push_back(id);
  return id;
}

void Loop::cancel(Id id) {
  if (performing_) return after(0, [this, id] { cancel(id); });
  const auto found = exchanges_.find(id);
  if (found == exchanges_.end()) return;
  auto failure = stopped();
  failure.maybe_done = found->second->maybe_done || found->second->under_way != nullptr;
  settle(*found->second, std::move(failure));
}

void Loop::cancel_all() {
  while (!exchanges_.empty()) cancel(exchanges_.begin()->first);
}

void Loop::resume() {
  if (performing_) return after(0, [this] { resume(); });
  std::vector<std::pair<Id, CURLcode>> broken;
  performing_ = true;  // resuming hands over kept data at once
  for (auto& [id, exchange] : exchanges_) {
    if (!exchange->under_way || !exchange->under_way->paused()) continue;
    exchange->under_way->go_on();
    const auto code = curl_easy_pause(exchange->easy, CURLPAUSE_CONT);
    if (code != CURLE_OK) broken.emplace_back(id, code);
  }
  performing_ = false;
  for (const auto& [id, code] : broken)
    if (const auto found = exchanges_.find(id); found != exchanges_.end()) finish(*found->second, code);
}

void Loop::after(Millis delay, std::function<void()> then) {
  timers_.emplace(now() + delay, std::move(then));
}

void Loop::hurry() {
  for (auto& [due, then] : std::exchange(timers_, {})) then();
}

void Loop::wake() {
  curl_multi_wakeup(curl_->multi);
}

bool Loop::run_timers() {
  bool any = false;
  for (; !timers_.empty() && timers_.begin()->first <= now(); any = true) {
    auto then = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    then();
  }
  return any;
}

void Loop::turn(Millis wait_max) {
  bool any = run_timers();
  begin_waiting();
  int running = 0;
  performing_ = true;
  curl_multi_perform(curl_->multi, &running);
  performing_ = false;
  any |= collect();
  if (watched_ > 0) end_silent(now());
  // What `collect` has made room for may start at once.
  begin_waiting();
  // The caller of turn() may already have what it waits for.
  if (const auto wait = any ? 0 : next_due(now(), wait_max); wait > 0)
    curl_multi_poll(curl_->multi, nullptr, 0, int(wait), nullptr);
}

Millis Loop::next_due(Millis at, Millis wait_max) const {
  if (!timers_.empty()) wait_max = std::clamp<Millis>(timers_.begin()->first - at, 0, wait_max);
  return watched_ > 0 ? std::min<Millis>(wait_max, 1'000) : wait_max;
}

void Loop::begin_waiting() {
  // Lasting calls overtake those that wait for a connection.
  std::deque<Id> still;
  for (const auto id : std::exchange(waiting_, {})) {
    const auto found = exchanges_.find(id);
    if (found == exchanges_.end()) continue;
    if (!found->second->call.lasting && active_ >= options_.connections_max)
      still.push_back(id);
    else
      begin(*found->second);
  }
  still.insert(still.end(), waiting_.begin(), waiting_.end());
  waiting_ = std::move(still);
}

void Loop::begin(Exchange& exchange) {
  exchange.easy = curl_->take();
  try {
    exchange.under_way =
        std::make_unique<Try>(exchange.easy, exchange.linked ? *exchange.linked : exchange.call, options_);
  } catch (const std::exception& trouble) {  // of the file to send
    curl_easy_reset(exchange.easy);
    curl_->give_back(std::exchange(exchange.easy, nullptr));
    Failure failure{Failure::Kind::problem, 0, fail(Code::unknownFile, trouble.what()), nullptr};
    settle(exchange, std::move(failure));
    return;
  }
  if (!exchange.call.lasting) ++active_;
  exchange.try_begun = now();
  if (exchange.away_since == 0) exchange.away_since = exchange.try_begun;
  curl_easy_setopt(exchange.easy, CURLOPT_PRIVATE, &exchange);
  curl_multi_add_handle(curl_->multi, exchange.easy);
}

bool Loop::collect() {
  bool any = false;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(curl_->multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    void* owner = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner);
    finish(*static_cast<Exchange*>(owner), message->data.result);
    any = true;
  }
  return any;
}

void Loop::end_silent(Millis at) {
  std::vector<Id> silent;
  for (const auto& [id, exchange] : exchanges_) {
    const auto& under_way = exchange->under_way;
    const auto limit = exchange->call.silence_max;
    if (watched(exchange->call) && under_way && !under_way->paused() && at - under_way->heard_at() > limit)
      silent.push_back(id);
  }
  for (const auto id : silent) {
    const auto found = exchanges_.find(id);
    if (found != exchanges_.end() && found->second->under_way) finish(*found->second, CURLE_OPERATION_TIMEDOUT);
  }
}

void Loop::release(Exchange& exchange) {
  if (exchange.easy == nullptr) return;
  curl_multi_remove_handle(curl_->multi, exchange.easy);
  exchange.under_way.reset();
  curl_->give_back(std::exchange(exchange.easy, nullptr));
  if (!exchange.call.lasting) --active_;
}

void Loop::finish(Exchange& exchange, int curl_code) {
  const bool got_bytes = exchange.under_way->got_bytes();
  auto answer = exchange.under_way->end(CURLcode(curl_code));
  release(exchange);
  contacted_ = contacted_ || answer || answer.error().status_line > 0;
  if (answer && exchange.linked && !exchange.digest.empty() && exchange.taken->hex() != exchange.digest)
    answer = Failure{Failure::Kind::foreign, 0,
                     fail(Code::blobStoreAway, "the store of files gave other bytes than the hub announced"), nullptr};
  if (answer) return settle(exchange, std::move(answer));
  auto failure = answer.error();
  if (follows(exchange, failure, got_bytes)) return waiting_.push_back(exchange.id);
  const bool undone = failure.unseen || (failure.kind == Failure::Kind::problem &&
                                         failure.error.code != Code::unknown && failure.error.code != Code::internal);
  exchange.maybe_done = exchange.maybe_done || !undone;
  failure.maybe_done = exchange.maybe_done && exchange.call.method != "GET" && exchange.call.method != "HEAD";
  // If a long-lived call breaks after it went well, this is a new absence of the hub.
  const bool was_well = exchange.call.lasting && !failure.unseen && !failure.late;
  if (was_well && now() - exchange.try_begun > kWell) exchange.away_since = now();
  const auto pause = std::max(backoff(++exchange.tries, kFirstPause, kLongestPause), failure.retry_after);
  const auto patience = exchange.call.patience.value_or(options_.patience);
  if (!goes_again(exchange, failure, got_bytes) || now() - exchange.away_since + pause > patience)
    return settle(exchange, std::move(failure));
  if (options_.on_retry) options_.on_retry(failure.error.message), exchange.told = true;
  if (got_bytes && exchange.call.restart) exchange.call.restart();
  after(pause, [this, id = exchange.id] { waiting_.push_back(id); });
}

// Sends a download to where the hub's answer points, and back to the hub if there is nothing to be had.
bool Loop::follows(Exchange& exchange, const Failure& failure, bool got_bytes) const {
  auto& call = exchange.call;
  if (exchange.linked) {
    exchange.linked.reset();
    if (failure.kind == Failure::Kind::stopped || (got_bytes && !call.restart)) return false;
    if (got_bytes) call.restart();
    call.follow = false;
    return true;
  }
  const auto location = failure.headers.find("location");
  if (!call.follow || failure.status_line != 307 || location == failure.headers.end()) return false;
  // Bytes that came by TLS from the hub do not come in clear from elsewhere.
  const bool safe = location->second.starts_with("https://") ||
                    (location->second.starts_with("http://") && !options_.hub.starts_with("https://"));
  if (!safe) return call.follow = false, true;
  exchange.linked = call;
  exchange.linked->other = location->second;
  exchange.linked->query.clear();
  exchange.linked->headers.clear();
  exchange.linked->token.clear();
  exchange.linked->follow = false;
  exchange.linked->elsewhere = true;
  const auto tag = failure.headers.find("etag");
  exchange.digest = tag == failure.headers.end() ? "" : tag->second.substr(1, 64);
  exchange.taken.emplace();
  exchange.linked->sink = [&exchange](std::string_view piece) {
    const auto take = exchange.call.sink(piece);
    if (take != Take::later) exchange.taken->update(piece);
    return take;
  };
  return true;
}

bool Loop::goes_again(const Exchange& exchange, const Failure& failure, bool got_bytes) const {
  const bool untouched = !got_bytes || !exchange.call.sink || exchange.call.restart;
  const bool harmless = may_be_repeated(exchange.call) || !exchange.maybe_done;
  const bool known = contacted_ || options_.wait_for_first;
  return passing(failure) && untouched && harmless && known;
}

void Loop::settle(Exchange& exchange, Answer<Reply> answer) {
  release(exchange);
  if (exchange.told && answer && options_.on_retry) options_.on_retry("");
  if (watched(exchange.call)) --watched_;
  auto done = std::move(exchange.done);
  exchanges_.erase(exchange.id);  // `exchange` is gone
  done(std::move(answer));
}

}  // namespace geres::transport
