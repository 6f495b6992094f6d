// SPDX-License-Identifier: Apache-2.0
// GET /v1/jobs/{id}/log: what an attempt wrote, as it is or as it grows.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/bytes.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "model/job_transitions.h"

namespace geres::hub::api {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
constexpr Millis kLookAgain = 15'000;  // in case a nudge was lost, or the reader lost its right

struct LogView {
  Api& api;
  http::Request& request;
  const Identity& who;  // lives with the request
  logs::LogName log;
  std::int64_t offset = 0;
  std::int64_t until = std::numeric_limits<std::int64_t>::max();  // where to end though there is more
};

// Sends everything there is now. False: the reader has gone.
awaitable<bool> send_rest(LogView& view, http::StreamWriter& out) {
  while (true) {
    const auto most = std::min(std::int64_t(kPiece), view.until - view.offset);
    if (most <= 0) co_return true;
    auto read = [&view, most] { return view.api.logs.read(view.log, view.offset, std::size_t(most)); };
    const auto piece = co_await http::run_on(view.api.carriers, read);
    if (!piece) throw std::runtime_error(piece.error().message);  // so that the answer is cut short, and seen to be
    if (piece->empty()) co_return true;
    if (!co_await out.write(*piece)) co_return false;
    view.offset += std::int64_t(piece->size());
  }
}

// A host's log pieces are stored before its report of the end, so a reader that sees the end has seen the whole log.
awaitable<void> follow(std::shared_ptr<LogView> view, http::StreamWriter& out) {
  const http::Bell bell;
  const auto subscription =
      view->api.feed.subscribe(view->log.job, events::Feed::changed | events::Feed::log, [bell] { bell.ring(); });
  while (true) {
    auto read = [&view] { return find_job(view->api, view->log.job); };
    const auto job = co_await http::run_on(view->api.pool, read);
    if (!job) co_return;
    if (view->log.attempt > 0 && !co_await send_rest(*view, out)) co_return;
    if (job->attempt > view->log.attempt) {
      ++view->log.attempt;
      view->offset = 0;
      continue;
    }
    if (model::ended(job->state)) co_return;
    co_await bell.wait(view->request.cancellation, kLookAgain);
    if (view->request.cancellation.cancelled() || !view->api.access.current(view->who, view->api.clock.wall()))
      co_return;
  }
}

awaitable<void> send_once(std::shared_ptr<LogView> view, http::StreamWriter& out) {
  co_await send_rest(*view, out);
}

Result<logs::Stream> stream_parameter(const http::Query& query) {
  const auto name = query.get("stream").value_or("stdout");
  if (const auto stream = logs::parse_stream(name)) return *stream;
  return fail(Code::badValue, fmt::format("there is no stream '{}'", replace_bad_utf8(utf8_prefix(name, 80))), "stream",
              "stdout or stderr");
}

}  // namespace

awaitable<Answered> get_log(Call& call) {
  const auto& query = call.request.query;
  if (auto ok = only_parameters(query, {"attempt", "stream", "tail", "offset", "limit", "follow"}); !ok)
    co_return ok.error();
  const auto attempt = number_parameter(query, "attempt", 1, 1'000'000'000);
  if (!attempt) co_return attempt.error();
  const auto tail = number_parameter(query, "tail", 0, 1'000'000'000);
  if (!tail) co_return tail.error();
  const auto offset = number_parameter(query, "offset", 0, std::numeric_limits<std::int64_t>::max());
  if (!offset) co_return offset.error();
  const auto limit = number_parameter(query, "limit", 1, std::numeric_limits<std::int64_t>::max());
  if (!limit) co_return limit.error();
  const auto stream = stream_parameter(query);
  if (!stream) co_return stream.error();
  const auto following = flag_parameter(query, "follow");
  if (!following) co_return following.error();
  if (*limit && *following)
    co_return fail(Code::badValue, "a log that is followed has no last byte", "limit", "leave out limit or follow");
  const auto id = job_id(call);
  if (!id) co_return id.error();
  const auto job = co_await glance_at_job(call, *id);
  if (!job) co_return job.error();
  // A follower may name the next attempt in advance, so as to miss nothing of it.
  if (*attempt && **attempt > job->attempt + (*following ? 1 : 0))
    co_return fail(Code::notFound, fmt::format("the job has had {} attempts", job->attempt), "attempt");

  auto view = std::make_shared<LogView>(call.api, call.request, call.who,
                                        logs::LogName{*id, int(attempt->value_or(job->attempt)), *stream});
  // A log that cannot be reached is told now; once the answer has begun it could only be cut short.
  auto begin = [&] { return *tail ? call.api.logs.tail_offset(view->log, **tail) : call.api.logs.size(view->log); };
  const auto begins = co_await carried(call, begin);
  if (!begins) co_return begins.error();
  view->offset = *tail ? *begins : offset->value_or(0);
  if (*limit && **limit < view->until - view->offset) view->until = view->offset + **limit;
  http::Response response;
  response.headers.emplace_back("Content-Type", "text/plain; charset=utf-8");
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Cache-Control", "no-store");
  response.headers.emplace_back("Geres-Attempt", std::to_string(view->log.attempt));
  response.headers.emplace_back("Geres-Offset", std::to_string(view->offset));
  const auto send = *following ? follow : send_once;
  response.stream = [view, send](http::StreamWriter& out) { return send(view, out); };
  co_return response;
}

}  // namespace geres::hub::api
