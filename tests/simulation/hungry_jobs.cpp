// SPDX-License-Identifier: Apache-2.0
#include "simulation/hungry_jobs.h"

#include <fmt/format.h>

#include <algorithm>

namespace geres::simulation {

std::int64_t HungryJobs::most(Uuid job) const {
  const auto own = of_tenants.find(tenant_of_(job));
  return own == of_tenants.end() ? of_hosts : std::min(own->second, of_hosts);
}

void HungryJobs::granted(Uuid id, int attempt, std::int64_t memory) {
  if (of_hosts == 0) return;
  auto& job = jobs_[id];
  if (attempt <= job.attempt) return;  // a repeat of an answer, or one that came late
  const auto wrong = [&](const std::string& how) {
    violate_(fmt::format("attempt {} of job {} gets {} bytes of memory: {}", attempt, id.str(), memory, how));
  };
  const auto limit = most(id);
  if (memory > limit) wrong(fmt::format("there are {} to be had", limit));
  if (lanes_enough && memory < job.memory) wrong(fmt::format("attempt {} had {}", job.attempt, job.memory));
  if (lanes_enough && job.ran_out > 0 && memory <= job.limit && job.limit < limit)
    wrong(fmt::format("attempt {} ran out of {}", job.ran_out, job.limit));
  if (memory > job.memory) ++paths_[std::size_t(Path::memory_raised)];
  if (memory == limit) ++paths_[std::size_t(Path::memory_at_its_most)];
  job.attempt = attempt;
  job.memory = memory;
}

void HungryJobs::ended(Uuid id, int attempt, const hub::engine::Completion& item) {
  if (item.memory_limit == 0) return;
  auto& job = jobs_[id];
  if (attempt <= job.ran_out) return;
  job.ran_out = attempt;
  job.limit = item.memory_limit;
}

}  // namespace geres::simulation
