// SPDX-License-Identifier: Apache-2.0
#include "worker/crew.h"

#include <cxxabi.h>

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/duration.h"

namespace geres::worker {
namespace {

using model::Outcome;

constexpr std::size_t kResultBytesMax = 64 << 10;
constexpr std::size_t kErrorBytesMax = 500;

// Made fit for JSON and for one line of a terminal.
std::string sentence(std::string_view text) {
  std::string clean = replace_bad_utf8(text);
  std::replace(clean.begin(), clean.end(), '\n', ' ');
  std::erase_if(clean, [](unsigned char c) { return c < 32 || c == 127; });
  return std::string(utf8_prefix(clean, kErrorBytesMax));
}

thread_local bool g_in_handler = false;

Result call(const Handler& handler, Job& job) {
  struct Inside {
    Inside() { g_in_handler = true; }
    ~Inside() { g_in_handler = false; }
  } inside;
  try {
    return handler(job);
  } catch (const abi::__forced_unwind&) {  // pthread_exit() in a handler: the thread must be allowed to end
    throw;
  } catch (const Abort& abort) {
    return Result::abort(abort.what());
  } catch (const std::exception& error) {
    return Result::failure(error.what());
  } catch (...) {
    return Result::failure("an exception that is not a std::exception left the handler");
  }
}

Outcome outcome_of(const Result& result, StopReason stopped) {
  const bool success = result.kind() == Result::Kind::success;
  switch (stopped) {
    case StopReason::cancel:
      return Outcome::cancelled;
    case StopReason::timeout:
      return Outcome::timeout;
    case StopReason::leaving:
    case StopReason::lease:
      return success ? Outcome::finished : Outcome::released;
    case StopReason::none:
      break;
  }
  return success ? Outcome::finished : result.kind() == Result::Kind::abort ? Outcome::aborted : Outcome::failed;
}

std::string error_of(const Attempt& attempt, const Result& result, Outcome outcome) {
  switch (outcome) {
    case Outcome::cancelled:
      return "stopped by a cancel";
    case Outcome::timeout:
      return "ran longer than " + format_duration(attempt.timeout) + " (timeout)";
    case Outcome::released:
      return attempt.stopped == StopReason::lease ? "given back: the hub could not be reached before the lease ended"
                                                  : "given back: its worker was stopping";
    case Outcome::failed:
    case Outcome::aborted:
      return result.text().empty() ? "its handler says that it failed" : sentence(result.text());
    default:
      return {};
  }
}

void put_result(wire::FinishedItem& item, const std::string& text) {
  if (text.empty()) return;
  const auto kept = utf8_prefix(text, kResultBytesMax);
  item.resultTruncated = kept.size() < text.size();
  item.result =
      valid_utf8(kept) ? std::string(kept) : std::string(utf8_prefix(replace_bad_utf8(kept), kResultBytesMax));
  std::erase(*item.result, '\0');  // as for processes, since the hub accepts none
}

}  // namespace

Crew::Crew(int threads, const Handlers& handlers, const Clock& clock, std::function<void()> nudge)
    : handlers_(handlers), clock_(clock), nudge_(std::move(nudge)) {
  try {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
    threads_.emplace_back([this] { set_stops(); });
  } catch (...) {  // the system gives no more threads
    close();
    throw;
  }
}

bool Crew::in_handler() {
  return g_in_handler;
}

Crew::~Crew() {
  close();
}

void Crew::add(std::vector<AttemptPtr> attempts) {
  if (attempts.empty()) return;
  const bool one = attempts.size() == 1;
  {
    const std::lock_guard lock(mutex_);
    load_.waiting += int(attempts.size());
    queue_.insert(queue_.end(), std::make_move_iterator(attempts.begin()), std::make_move_iterator(attempts.end()));
  }
  one ? filled_.notify_one() : filled_.notify_all();
}

bool Crew::take_back(Attempt& attempt, Outcome outcome, std::string error) {
  const std::lock_guard lock(mutex_);
  if (attempt.stage != Stage::waiting) return false;
  attempt.stage = Stage::ended;
  attempt.finished.lease = attempt.lease;
  attempt.finished.outcome = outcome;
  attempt.finished.error = std::move(error);
  --load_.waiting;
  return true;
}

void Crew::ask_to_stop(const AttemptPtr& attempt, StopReason reason) {
  {
    const std::lock_guard lock(mutex_);
    if (attempt->stage == Stage::ended) return;
    const auto earlier = attempt->stopped.load();
    const bool outweighs =
        reason == StopReason::cancel && (earlier == StopReason::lease || earlier == StopReason::leaving);
    if (earlier == StopReason::none || outweighs) attempt->stopped = reason;
    if (earlier != StopReason::none) return;
  }
  {
    const std::lock_guard lock(stops_mutex_);
    stops_.push_back(attempt);
  }
  stops_filled_.notify_one();
}

Crew::News Crew::collect() {
  const std::lock_guard lock(mutex_);
  nudged_ = false;
  return std::exchange(news_, {});
}

std::pair<Stage, Millis> Crew::stage(const Attempt& attempt) const {
  const std::lock_guard lock(mutex_);
  return {attempt.stage, attempt.started_at};
}

std::optional<wire::ProgressItem> Crew::take_progress(Attempt& attempt) {
  const std::lock_guard lock(mutex_);
  return std::exchange(attempt.progress, std::nullopt);
}

Crew::Load Crew::load() const {
  const std::lock_guard lock(mutex_);
  return load_;
}

void Crew::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    queue_.clear();
    load_.waiting = 0;
  }
  filled_.notify_all();
  {
    const std::lock_guard lock(stops_mutex_);
    stops_closed_ = true;
  }
  stops_filled_.notify_all();
  for (auto& thread : threads_)
    if (thread.joinable()) thread.join();
}

void Crew::progress(Attempt& attempt, wire::ProgressItem item) {
  const std::lock_guard lock(mutex_);
  if (attempt.stage != Stage::running) return;  // a call from a thread that the handler has left behind
  const bool first = !attempt.progress;
  attempt.progress = std::move(item);
  if (first) note(news_.progressed, attempt.shared_from_this());
}

// Call it with the lock held.
void Crew::note(std::vector<AttemptPtr>& kind, AttemptPtr attempt) {
  kind.push_back(std::move(attempt));
  if (!std::exchange(nudged_, true)) nudge_();
}

void Crew::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    filled_.wait(lock, [this] { return closed_ || !queue_.empty(); });
    if (closed_) return;
    const AttemptPtr attempt = std::move(queue_.front());
    queue_.pop_front();
    if (attempt->stage != Stage::waiting) continue;
    attempt->stage = Stage::running;
    attempt->started_at = clock_.monotonic();
    --load_.waiting;
    ++load_.running;
    note(news_.started, attempt);
    lock.unlock();
    wire::FinishedItem end;
    try {
      end = run(*attempt);
    } catch (const abi::__forced_unwind&) {
      lock.lock();
      finish(attempt, ended(*attempt, Result::failure("the handler has ended its thread (pthread_exit)")));
      if (!closed_) threads_.emplace_back([this] { work(); });
      lock.unlock();
      throw;
    }
    lock.lock();
    finish(attempt, std::move(end));
  }
}

void Crew::finish(const AttemptPtr& attempt, wire::FinishedItem end) {
  attempt->finished = std::move(end);
  attempt->stage = Stage::ended;
  --load_.running;
  note(news_.ended, attempt);
}

wire::FinishedItem Crew::run(Attempt& attempt) const {
  const auto handler = handlers_.find(attempt.type);
  if (handler == handlers_.end()) {
    wire::FinishedItem item;
    item.lease = attempt.lease;
    item.outcome = Outcome::type;
    item.error = "this worker has no handler for the type '" + attempt.type + "'";
    return item;
  }
  Job job(attempt);
  return ended(attempt, call(handler->second, job));
}

wire::FinishedItem Crew::ended(const Attempt& attempt, const Result& result) {
  wire::FinishedItem item;
  item.lease = attempt.lease;
  item.outcome = outcome_of(result, attempt.stopped);
  item.error = error_of(attempt, result, item.outcome);
  if (item.outcome != Outcome::released) put_result(item, result.text());
  return item;
}

void Crew::set_stops() {
  std::unique_lock lock(stops_mutex_);
  for (;;) {
    stops_filled_.wait(lock, [this] { return stops_closed_ || !stops_.empty(); });
    if (stops_.empty()) return;
    const AttemptPtr attempt = std::move(stops_.front());
    stops_.pop_front();
    lock.unlock();
    attempt->stop.request_stop();
    lock.lock();
  }
}

}  // namespace geres::worker
