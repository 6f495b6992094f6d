// SPDX-License-Identifier: Apache-2.0
#include "worker/reports.h"

#include <algorithm>
#include <utility>

namespace geres::worker {
namespace {

constexpr std::size_t kEndsMax = 4'096;
constexpr std::int64_t kEndBytesMax = 4 << 20;  // of one report

std::int64_t weight(const wire::FinishedItem& item) {
  return 200 + std::int64_t(item.error.size() + (item.result ? item.result->size() : 0));
}

}  // namespace

void Reports::end() {
  flight_.reset();
  started_.clear();
  progress_.clear();
  ended_.clear();
}

std::optional<Millis> Reports::shortest_lease() const {
  std::optional<Millis> least;
  for (const auto& [lease, attempt] : held_) least = std::min(least.value_or(attempt->ttl), attempt->ttl);
  return least;
}

void Reports::progressed(AttemptPtr attempt, wire::ProgressItem item) {
  if (!item.percent)  // a message alone keeps the percentage
    if (const auto untold = progress_.find(attempt); untold != progress_.end()) item.percent = untold->second.percent;
  progress_[std::move(attempt)] = std::move(item);
}

wire::Report Reports::build() {
  flight_.emplace();
  wire::Report report;
  add_ends(report);
  for (const auto& [lease, attempt] : held_) {
    if (attempt->dropped || attempt->end_in_flight) continue;
    report.running.push_back(lease);
    flight_->running.push_back(attempt);
  }
  for (auto& attempt : std::exchange(started_, {})) {
    // An end implies the start. But progress needs the start to be told before it.
    if (attempt->dropped || (attempt->end_in_flight && !progress_.contains(attempt))) continue;
    report.started.push_back(attempt->lease);
    flight_->started.push_back(std::move(attempt));
  }
  for (auto& [attempt, item] : std::exchange(progress_, {})) {
    if (attempt->dropped) continue;
    report.progress.push_back(item);
    flight_->progress.emplace_back(attempt, item);
  }
  return report;
}

void Reports::add_ends(wire::Report& report) {
  std::int64_t bytes = 0;
  while (!ended_.empty() && report.finished.size() < ends_max_ && bytes < kEndBytesMax) {
    auto attempt = std::move(ended_.front());
    ended_.pop_front();
    if (attempt->dropped) continue;
    bytes += weight(attempt->finished);
    attempt->end_in_flight = true;
    report.finished.push_back(attempt->finished);
    flight_->finished.push_back(std::move(attempt));
  }
}

void Reports::taken_in(const wire::Reported& answer, Millis sent_at) {
  ends_max_ = std::min(ends_max_ * 2, kEndsMax);
  const Flight flight = std::move(*std::exchange(flight_, std::nullopt));
  for (const auto& attempt : flight.finished) attempt->end_in_flight = false;
  if (!ended_.empty()) member_.within(0);
  events_.answered(answer, flight.running, sent_at);
}

void Reports::lost(const host::HubAnswer&, bool refused) {
  Flight flight = std::move(*std::exchange(flight_, std::nullopt));
  const bool alone = flight.finished.size() == 1 && flight.progress.empty();
  const AttemptPtr culprit = refused && alone ? flight.finished.front() : nullptr;
  tell_again(std::move(flight), refused);
  // The same report would be refused again. Ends are now sent one by one, so that one bad item does not hold up the
  // others.
  if (refused) ends_max_ = 1;
  if (culprit) events_.unspeakable(culprit);
}

void Reports::tell_again(Flight flight, bool refused) {
  for (auto& attempt : flight.started) started_.push_back(std::move(attempt));
  for (auto& [attempt, item] : flight.progress)
    if (!refused) progress_.emplace(std::move(attempt), std::move(item));  // unless there is newer progress
  for (auto at = flight.finished.rbegin(); at != flight.finished.rend(); ++at) {
    (*at)->end_in_flight = false;
    ended_.push_front(std::move(*at));
  }
}

}  // namespace geres::worker
