// SPDX-License-Identifier: Apache-2.0
#include "hub/api/pieces.h"

#include "model/job.h"

namespace geres::hub::api {
namespace {

constexpr std::size_t kPageBytesMax = 2 << 20;

}  // namespace

std::string walks_as(const Identity& who) {
  const auto tenant = who.only_tenant();
  return tenant.empty() ? who.id.str() : tenant;
}

awaitable<Result<ListedJobs>> list_jobs_in_pieces(Call& call, store::Page page, const FindFilter& find,
                                                  const RenderJobs& render) {
  ListedJobs listed;
  std::optional<store::JobFilter> filter;
  std::vector<model::Job> jobs;
  std::size_t bytes = 0;
  auto show = [&]() -> Result<bool> {
    listed.text = render(jobs, listed.next);
    jobs = {};
    if (auto ok = make_room(call, listed.text.size()); !ok) return ok.error();
    return false;
  };
  auto piece = [&](std::size_t looked_max) -> Result<bool> {
    if (!filter) {
      auto narrowed = find();
      if (!narrowed) return narrowed.error();
      if (!*narrowed) return show();
      filter = std::move(**narrowed);
    }
    page.looked_max = looked_max;
    page.bytes_max = kPageBytesMax - bytes;
    auto part = call.api.reads.jobs(*filter, page);
    for (auto& job : part.jobs) {
      bytes += store::held_bytes(job);
      jobs.push_back(std::move(job));
    }
    listed.next = page.after = part.next;
    page.limit -= part.jobs.size();
    if (part.next == 0 || page.limit == 0 || bytes >= kPageBytesMax) return show();
    return true;
  };
  auto ok = co_await in_pieces(call, piece);
  if (!ok) co_return ok.error();
  co_return listed;
}

awaitable<Result<store::Counted>> count_jobs(Call& call, const store::JobFilter& filter) {
  store::Counted sum;
  store::Page page;
  auto piece = [&](std::size_t looked_max) -> Result<bool> {
    page.looked_max = looked_max;
    const auto part = call.api.reads.count(filter, page);
    sum.count += part.count;
    for (const auto& [reason, n] : part.by_reason) sum.by_reason[reason] += n;
    page.after = part.next;
    return part.next != 0;
  };
  auto ok = co_await in_pieces(call, piece);
  if (!ok) co_return ok.error();
  co_return sum;
}

}  // namespace geres::hub::api
