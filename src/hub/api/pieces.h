// SPDX-License-Identifier: Apache-2.0
// Walks through the store that may be long: a filter that matches little, a count of many. The first rows are read like
// any other; the rest in pieces on a thread of its own, one walk at a time for each tenant. So walks wait for each
// other, however many there are, and nothing else waits for them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hub/api/call.h"
#include "hub/api/filter.h"

namespace geres::hub::api {

constexpr std::size_t kLookedFirst = 2'000;
constexpr std::size_t kLookedThen = 20'000;

std::string walks_as(const Identity& who);  // the caller whose turn a walk takes

// `piece(looked_max)` looks at no more rows than that, on a worker thread, and returns whether there are more.
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

// A page of the jobs that match, limited in bytes. Both functions run on worker threads and must outlive the walk, so
// name them first (see http::run_on).
awaitable<Result<ListedJobs>> list_jobs_in_pieces(Call& call, store::Page page, const FindFilter& find,
                                                  const RenderJobs& render);

// How many jobs match, and the reasons of those that failed. The filter must outlive the walk.
awaitable<Result<store::Counted>> count_jobs(Call& call, const store::JobFilter& filter);

}  // namespace geres::hub::api
