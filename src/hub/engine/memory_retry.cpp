// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/memory_retry.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "base/duration.h"
#include "hub/engine/placement.h"
#include "hub/engine/state.h"

namespace geres::hub::engine {

namespace {

constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();

// A host's usual limit is a share of its memory, and no two machines have quite the same. Each amount that jobs ask for
// makes a lane, so there are four to each doubling.
std::int64_t rounded_up(std::int64_t bytes) {
  const auto step = std::int64_t(std::bit_floor(std::uint64_t(bytes))) / 4;
  return step == 0 ? bytes : (bytes + step - 1) / step * step;
}

std::int64_t most_of_tenant(const LaneState& lane) {
  const auto most = lane.tenant->row.max_memory_per_job;
  return most > 0 ? most : kAny;
}

// Of those hosts that the lane fits in all else. One that drains or stops counts, for it may be the very one on which
// the job ran, and comes back.
std::int64_t most_of_hosts(const State& state, const LaneState& lane) {
  auto key = lane.row.key;
  key.requirements.memory = 0;
  std::int64_t most = 0;
  const auto look_at = [&](const model::Host& host) {
    const auto has = host.memory > 0 ? host.memory : kAny;
    if (has <= most) return;
    if (const auto what = bar(key, host); what == Bar::none || what == Bar::draining) most = has;
  };
  for (const auto& [id, host] : state.hosts) look_at(host.row);
  // A template that does not say how much its hosts have promises nothing.
  for (const auto& [name, pool] : state.pools)
    if (pool.row.settings.acts && !pool.row.removing && pool.row.settings.like.memory > 0)
      look_at(host_like(pool.row.settings.like));
  return most;
}

}  // namespace

MoreMemory more_memory(const State& state, const LaneState& lane, const Completion& end) {
  if (end.cause != model::Cause::outOfMemory || end.memory_limit <= 0) return {};
  const auto asked = lane.row.key.requirements.memory;
  const auto had = std::max(asked, end.memory_limit);
  const auto twice = had > kAny / 4 ? had : asked > 0 ? had * 2 : rounded_up(had * 2);
  const auto of_tenant = most_of_tenant(lane), of_hosts = most_of_hosts(state, lane);
  const auto bytes = std::min({twice, of_tenant, of_hosts});
  if (bytes > had) return {bytes, fmt::format("tried again with {}", format_size(bytes))};
  if (of_tenant <= of_hosts)
    return {0, fmt::format("a job of tenant {} may have no more than {} (maxMemoryPerJob)", lane.tenant->row.name,
                           format_size(of_tenant))};
  return {0, "no host that it fits has more"};
}

}  // namespace geres::hub::engine
