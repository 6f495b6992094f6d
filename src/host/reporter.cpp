// SPDX-License-Identifier: Apache-2.0
#include "host/reporter.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/base64.h"

namespace geres::host {
namespace {

constexpr std::int64_t kLogItemMax = 128 << 10;
constexpr Millis kLogRestMax = 200;
constexpr Millis kProgressPause = 50;
constexpr std::int64_t kLogBudgetMin = 16 << 10;
constexpr std::int64_t kFinishedBudget = 4 << 20;
constexpr std::size_t kFinishedMax = 1'024;

std::string read_log(const std::filesystem::path& file, std::int64_t from, std::int64_t bytes) {
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  std::string text(std::size_t(bytes), '\0');
  std::size_t have = 0;
  while (fd && have < text.size()) {
    const ssize_t got = ::pread(fd.get(), text.data() + have, text.size() - have, from + std::int64_t(have));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    have += std::size_t(got);
  }
  text.resize(have);
  return text;
}

std::int64_t weight(const wire::FinishedItem& item) {
  std::int64_t bytes = 500 + std::int64_t(item.result ? item.result->size() : 0);
  for (const auto& file : item.files) bytes += 120 + std::int64_t(file.path.size());
  if (item.filesLeftOut)
    for (const auto& file : item.filesLeftOut->named) bytes += 40 + std::int64_t(file.path.size() + file.why.size());
  return bytes;
}

}  // namespace

std::optional<Millis> Reporter::shortest_lease() const {
  std::optional<Millis> least;
  for (const auto& [lease, attempt] : attempts_) least = std::min(least.value_or(attempt->ttl_ms), attempt->ttl_ms);
  return least;
}

void Reporter::progress_is_new() {
  member_.within(std::max<Millis>(0, progress_told_at_ + kProgressPause - clock_.monotonic()));
}

Attempt* Reporter::find(const std::string& lease) {
  const auto attempt = attempts_.find(lease);
  return attempt == attempts_.end() ? nullptr : attempt->second.get();
}

// A start, or an end that has little log before it.
bool Reporter::has_news() const {
  return std::any_of(attempts_.begin(), attempts_.end(), [](const auto& entry) {
    const Attempt& attempt = *entry.second;
    const auto untold = attempt.out.size - attempt.out.acked + attempt.err.size - attempt.err.acked;
    return !attempt.dropped && ((attempt.started && !attempt.started_told) ||
                                (attempt.phase == Phase::ended && attempt.finished && untold <= kLogItemMax));
  });
}

wire::Report Reporter::build() {
  flight_.emplace();
  wire::Report report;
  log_budget_ = log_budget_max_;
  finished_budget_ = kFinishedBudget;
  const bool news = has_news();
  // Attempts whose end waits for its log come first. Logs do not hold up other attempts' news.
  for (const bool ended : {true, false}) {
    if (!ended && news) log_budget_ = std::min(log_budget_, kLogBudgetMin);
    for (auto& [lease, attempt] : attempts_)
      if (!attempt->dropped && (attempt->phase == Phase::ended) == ended) add_attempt(report, *attempt);
  }
  flight_->running = report.running;
  flight_->started = report.started;
  flight_->progress = report.progress;
  if (const auto& membership = member_.membership(); membership && membership->takes_health())
    if (auto why = events_.rests()) report.health = wire::HealthItem{model::Health::resting, std::move(*why)};
  if (!report.progress.empty()) progress_told_at_ = clock_.monotonic();
  return report;
}

void Reporter::add_attempt(wire::Report& report, Attempt& attempt) {
  if (attempt.started && !attempt.started_told) report.started.push_back(attempt.lease);
  if (attempt.progress) report.progress.push_back(*std::exchange(attempt.progress, std::nullopt));
  const bool out_told = add_log(report, attempt, false);
  const bool err_told = add_log(report, attempt, true);
  add_finished(report, attempt, out_told && err_told);
}

// True: after this report the whole file of the stream has been sent.
bool Reporter::add_log(wire::Report& report, Attempt& attempt, bool error_stream) {
  LogStream& stream = error_stream ? attempt.err : attempt.out;
  const std::int64_t bytes = std::min({stream.size - stream.acked, kLogItemMax, log_budget_});
  if (stream.acked >= stream.size || !attempt.workspace) return true;
  if (bytes <= 0) return !(flight_->cut = true);
  const auto file = error_stream ? attempt.workspace->standard_error() : attempt.workspace->standard_output();
  const std::string text = read_log(file, stream.acked, bytes);
  if (text.empty()) return stream.acked = stream.size, true;  // the file is gone, so nothing more can be sent
  const std::int64_t end = stream.acked + std::int64_t(text.size());
  report.log.push_back({attempt.lease, error_stream ? "stderr" : "stdout", stream.acked, to_base64(text)});
  flight_->logs.push_back({attempt.lease, error_stream, end});
  log_budget_ -= std::int64_t(text.size());
  if (end < stream.size) flight_->cut = true;
  return end >= stream.size;
}

void Reporter::add_finished(wire::Report& report, Attempt& attempt, bool logs_told) {
  const bool ended = attempt.phase == Phase::ended && attempt.finished;
  if (!ended || !logs_told || finished_budget_ <= 0 || report.finished.size() >= finished_max_) {
    if (ended) flight_->cut = true;
    report.running.push_back(attempt.lease);
    return;
  }
  finished_budget_ -= weight(*attempt.finished);
  report.finished.push_back(*attempt.finished);
  if (!hub_takes_files_left_out()) {
    auto& item = report.finished.back();
    item.filesLeftOut.reset();
    item.cause.reset();
    item.memoryLimit.reset();
  }
  flight_->finished.push_back(attempt.lease);
}

void Reporter::taken_in(const wire::Reported& answer, Millis sent_at) {
  finished_max_ = std::min(finished_max_ * 2, kFinishedMax);
  const Flight flight = std::move(*std::exchange(flight_, std::nullopt));
  for (const auto& lease : flight.started)
    if (Attempt* attempt = find(lease)) attempt->started_told = true;
  for (const auto& log : flight.logs)
    if (Attempt* attempt = find(log.lease)) (log.error_stream ? attempt->err : attempt->out).acked = log.end;
  // There is more log than fits. Logs take at most half of the time, which leaves the rest to the hub and to other
  // jobs' news.
  if (flight.cut) member_.within(has_news() ? 0 : std::min(clock_.monotonic() - sent_at, kLogRestMax));
  events_.answered(answer, flight.running, sent_at);
}

void Reporter::lost(const HubAnswer& answer, bool refused) {
  if (answer.status == 413 && flight_->any_log() && log_budget_max_ > kLogBudgetMin)
    log_budget_max_ /= 2;
  else if (refused)
    drop_refused_items();
  const Flight flight = std::move(*std::exchange(flight_, std::nullopt));
  for (const auto& item : flight.progress) {
    Attempt* attempt = find(item.lease);
    if (attempt != nullptr && !attempt->progress && !refused) attempt->progress = item;
  }
}

// The hub rejected the report itself, so the same again would be rejected too. What may be lost is dropped, and ends
// are sent one by one, so that one bad item does not hold up the others.
void Reporter::drop_refused_items() {
  for (const auto& log : flight_->logs)
    if (Attempt* attempt = find(log.lease)) (log.error_stream ? attempt->err : attempt->out).acked = log.end;
  const bool alone = flight_->finished.size() == 1 && !flight_->any_log() && flight_->progress.empty();
  finished_max_ = 1;
  if (alone) events_.unspeakable(flight_->finished.front());
}

}  // namespace geres::host
