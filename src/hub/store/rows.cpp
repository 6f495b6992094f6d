// SPDX-License-Identifier: Apache-2.0
#include "hub/store/rows.h"

#include <algorithm>
#include <tuple>

#include "hub/store/with_jobs.h"

namespace geres::hub::store {

std::size_t held_bytes(const model::Job& job) {
  const auto& spec = job.spec;
  std::size_t bytes = sizeof job + spec.parameters.size() + job.status.error.size() +
                      (job.status.result ? job.status.result->size() : 0) + spec.key.size() + spec.ref.size();
  for (const auto& input : spec.inputs) bytes += sizeof input + input.path.size() + input.file.size();
  for (const auto& [name, value] : spec.tags) bytes += 64 + name.size() + value.size();
  for (const auto& [name, value] : spec.requirements.labels) bytes += 64 + name.size() + value.size();
  for (const auto& file : job.status.files_left_out.named) bytes += sizeof file + file.path.size() + file.why.size();
  return bytes;
}

bool matches(const JobFilter& filter, const model::Job& job) {
  const auto among = [](const auto& list, const auto& value) {
    return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
  };
  const auto is = [](const std::string& wanted, const std::string& value) { return wanted.empty() || wanted == value; };
  const auto& [spec, status] = std::tie(job.spec, job.status);
  return among(filter.tenants, spec.tenant) && (!filter.batch || *filter.batch == spec.batch) &&
         among(filter.states, status.state) && is(filter.type, spec.type) && is(filter.name, spec.name) &&
         is(filter.host, status.host) && among(filter.ids, job.id) &&
         std::all_of(filter.tags.begin(), filter.tags.end(),
                     [&](const auto& tag) {
                       const auto own = spec.tags.find(tag.first);
                       return own != spec.tags.end() && own->second == tag.second;
                     }) &&
         (!filter.submitted_after || status.submitted_at >= *filter.submitted_after) &&
         (!filter.submitted_before || status.submitted_at < *filter.submitted_before) &&
         (!filter.reason || status.reason == *filter.reason) && (!filter.open || !status.settled_at) &&
         (!filter.redrivable || (!status.redriven_as && !status.settled_at));
}

LaneKey lane_key(const model::JobSpec& spec) {
  return {spec.batch, spec.tenant, spec.type, !spec.package.empty(), spec.requirements, {}};
}

LaneKey lane_key(const model::Job& job) {
  auto key = lane_key(job.spec);
  key.requirements.memory = model::memory_of(job);
  key.avoid = job.status.trouble.avoid;
  return key;
}

std::size_t Changes::size() const {
  return tenants.size() + batches.size() + batches_removed.size() + lanes.size() + lane_durations.size() +
         lanes_removed.size() + hosts.size() + hosts_removed.size() + packages.size() + packages_removed.size() +
         tokens.size() + tokens_removed.size() + jobs.size() + updates.size() + edits.size() + ready.size() +
         ready_removed.size() + scheduled.size() + scheduled_removed.size() + deadlines.size() +
         deadlines_removed.size() + leases.size() + leases_removed.size() + attempts.size() + files.size() +
         counts.size() + dead_letters.size() + list_keys.size() + operations.size() + operations_removed.size() +
         webhooks.size() + webhooks_removed.size() + deliveries.size() + deliveries_removed.size() + cursors.size() +
         pools.size() + pools_removed.size() + machines.size() + intents.size() + decisions.size() +
         load_samples.size() + host_drains.size() + host_drains_removed.size() + scaler.size() + blobs.size() +
         blobs_removed.size() + join_tokens.size() + join_tokens_removed.size() + enrolments.size() +
         enrolments_removed.size() + jobs_purged.size() + events.size();
}

void Changes::clear() {
  *this = {};
}

}  // namespace geres::hub::store
