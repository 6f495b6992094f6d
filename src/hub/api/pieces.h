// SPDX-License-Identifier: Apache-2.0
// Walks through the store that may be long: a filter that fits little, a count of many. The first rows are looked at
// like any other read; what needs more goes on in pieces on a thread of its own, one walk at a time for each tenant. So
// walks, however many there are, wait for each other, and nobody else does.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hub/api/call.h"
#include "hub/api/filter.h"

namespace geres::hub::api {

constexpr std::size_t kLookedFirst = 2'000;
constexpr std::size_t kLookedThen = 20'000;

std::string walks_as(const Identity& who);  // whose turn a walk takes

// `piece(looked_max)` looks at so many rows at most, on a worker thread, and says whether there is more.
template <class Piece>
awaitable<Result<void>> in_pieces(Call& call, Piece piece) {
  auto first = [&] { return piece(kLookedFirst); };
  Result<bool> more = co_await blocking(call, first);
  if (!more) co_return more.error();
  if (!*more) co_return Result<void>();
  auto& cancellation = call.request.cancellation;
  const auto turn = co_await call.api.walks.take(walks_as(call.who), cancellation);
  auto then = [&] { return piece(kLookedThen); };
  while (*more) {
    if (cancellation.cancelled()) co_return fail(Code::unavailable, "the hub is stopping");
    more = co_await http::run_on(call.api.walker, then);
    if (!more) co_return more.error();
  }
  co_return Result<void>();
}

struct ListedJobs {
  std::string text;     // what `render` made
  store::Seq next = 0;  // as in store::JobPage
};
using FindFilter = std::function<Result<Narrowed>()>;
using RenderJobs = std::function<std::string(const std::vector<model::Job>& jobs, store::Seq next)>;

// A page of the jobs that fit, no longer than its bytes allow. Both functions run on worker threads and must outlive
// it: name them first (see http::run_on).
awaitable<Result<ListedJobs>> list_jobs_in_pieces(Call& call, store::Page page, const FindFilter& find,
                                                  const RenderJobs& render);

// How many jobs fit, and why those that failed did. The filter must outlive it.
awaitable<Result<store::Counted>> count_jobs(Call& call, const store::JobFilter& filter);

}  // namespace geres::hub::api
