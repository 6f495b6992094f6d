// SPDX-License-Identifier: Apache-2.0
#include "cli/log_follower.h"

#include <unistd.h>

#include <algorithm>

#include "cli/job_words.h"
#include "cli/output.h"
#include "cli/terminal_state.h"

namespace geres::cli {
namespace {

constexpr Millis kPatience = 30 * 60'000;  // for a hub that is away while a log is followed
constexpr Millis kQuick = 1'000, kPause = 500;

// A failure that may pass, so that a later call may succeed.
bool away(const client::Failure& failure) {
  return (failure.kind == client::Failure::Kind::unreachable && failure.error.code == Code::unavailable) ||
         (failure.status >= 502 && failure.status <= 504);
}

// Where in its attempt's log an answer begins.
std::int64_t offset_of(const client::Reply& reply) {
  return transport::header_number(reply, "geres-offset");
}

}  // namespace

LogFollower::LogFollower(client::Options options, What what) : hub_(std::move(options)), what_(std::move(what)) {
  if (!what_.raw && ::isatty(what_.fd) == 1) filter_.emplace();
}

void LogFollower::print(std::string_view bytes) {
  if (what_.on_bytes) what_.on_bytes(bytes);
  if (!filter_) return write_out(what_.fd, bytes);
  const auto text = filter_->pass(bytes);
  if (filter_->coloured()) is_coloured(what_.fd, true);  // set beforehand, since Ctrl-Z may come at any time
  write_out(what_.fd, text);
  is_coloured(what_.fd, filter_->coloured());
}

std::optional<client::Failure> LogFollower::run() {
  auto failure = follow();
  if (!filter_) return failure;
  write_out(what_.fd, filter_->finish());
  is_coloured(what_.fd, false);
  return failure;
}

// A job that prints nothing and a hub that has gone without a sign look the same, so after some silence the log is
// followed anew.
std::optional<client::Failure> LogFollower::follow() {
  int quick = 0;  // answers in a row that came at once without news, from a proxy that allows no long poll
  std::optional<Millis> away_since;
  for (bool begun = false;; begun = true) {
    if (quick > 2) pause();
    const auto had_ended = look();
    if (!had_ended) return had_ended.error();
    if (what_.follow) hub_.transport().options().patience = kPatience;
    if (auto failed = begun ? locate() : begin()) return failed;
    if (newest_ == 0 && !what_.follow && !what_.attempt) return std::nullopt;  // nothing was written yet
    const auto asked = SystemClock().monotonic();
    const auto reply = ask(
        {{"offset", std::to_string(offset_)}},
        [this](std::string_view piece) {
          print(piece);
          came_ += std::int64_t(piece.size());
          return true;
        },
        what_.follow);
    // A stopping hub ends its answers, so an end only counts if the job had ended before the answer began.
    if (reply && (!what_.follow || *had_ended)) return std::nullopt;
    const auto now = SystemClock().monotonic();
    quick = came_ == 0 && now - asked < kQuick ? quick + 1 : 0;
    if (!reply && (!away(reply.error()) || (!what_.follow && came_ == 0))) return reply.error();
    // Only look() waits for a hub that is away; here the hub does answer that call, but not this one.
    if (reply || came_ > 0 || now - asked >= silence_max())
      away_since.reset();
    else if (now - away_since.value_or(now) > kPatience)
      return reply.error();
    else
      away_since = away_since.value_or(now);
  }
}

Millis LogFollower::silence_max() const {
  return hub_.transport().options().answer_time_max;
}

// Returns early on Ctrl-C, which the next call then reports.
void LogFollower::pause() {
  const auto* stop = hub_.transport().options().stop;
  for (Millis slept = 0; slept < kPause && (stop == nullptr || !stop->load()); slept += 50) ::usleep(50'000);
}

client::Answer<bool> LogFollower::look() {
  const auto job = hub_.get("/v1/jobs/" + what_.job, {{"fields", "state,attempt"}});
  if (!job) return job.error();
  const auto view = wire::job_view(*job);
  newest_ = view.attempt;
  return view.ended();
}

client::Answer<client::Reply> LogFollower::ask(client::Query more, client::Sink sink, bool follow) {
  client::Call call;
  call.path = "/v1/jobs/" + what_.job + "/log";
  call.query = {{"stream", what_.stream}, {"attempt", std::to_string(attempt_)}};
  call.query.insert(call.query.end(), more.begin(), more.end());
  if (follow) call.query.emplace_back("follow", "true");
  call.lasting = follow;
  call.silence_max = silence_max();
  if (follow) call.patience = 0;  // follow() itself connects again
  call.take = std::move(sink);
  return hub_.transport().send(call);
}

client::Answer<std::int64_t> LogFollower::length() {
  const auto reply = ask({{"tail", "0"}});
  if (!reply) return reply.error();
  return offset_of(*reply);
}

std::optional<client::Failure> LogFollower::begin() {
  attempt_ = what_.attempt.value_or(std::max<std::int64_t>(newest_, 1));
  if (!what_.tail || attempt_ > newest_) return std::nullopt;
  const auto reply = ask({{"tail", std::to_string(*what_.tail)}});
  if (!reply) return reply.error();
  print(reply->body);
  offset_ = offset_of(*reply) + std::int64_t(reply->body.size());
  return std::nullopt;
}

// Advances attempt_ and offset_ by the bytes that came.
std::optional<client::Failure> LogFollower::locate() {
  while (what_.follow && came_ > 0 && attempt_ < newest_) {
    const auto all = length();
    if (!all) return all.error();
    if (came_ < *all - offset_) break;
    came_ -= std::max<std::int64_t>(*all - offset_, 0);
    offset_ = 0;
    ++attempt_;
  }
  offset_ += std::exchange(came_, 0);
  return std::nullopt;
}

}  // namespace geres::cli
