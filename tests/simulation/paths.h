// SPDX-License-Identifier: Apache-2.0
// The rare paths. A run over many seeds that never took one of them proves nothing about it, and fails.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace geres::simulation {

// clang-format off
#define GERES_PATHS(X) \
  X(message_dropped) X(message_doubled) X(message_late) X(message_cut_up) X(message_cut_down) X(hub_killed) \
  X(hub_killed_inside_commit) X(power_lost) X(power_lost_inside_commit) X(hub_rebooted) X(write_failed) \
  X(sync_failed) X(disk_full) X(commit_slow) X(hub_frozen) X(wall_jumped) X(hub_stopped) X(tick_refused) \
  X(tick_run_one_by_one) X(unknown_had_happened) X(unknown_had_not) X(store_away) X(host_crashed) X(host_frozen) \
  X(host_replaced) X(host_gone) X(host_drained) X(drained_host_came_back) X(host_left) X(host_name_taken) X(host_joined) X(joining_repeated) \
  X(join_token_used_up) X(came_back_by_its_secret) X(secret_renewed) X(fetch_repeated) \
  X(fetch_same_leases_again) X(lease_came_too_late) X(lease_never_heard) X(lease_ran_out_at_host) \
  X(lease_expired) X(lease_lost_told) X(report_out_of_order) X(stale_refused) X(conflict_refused) \
  X(completion_repeated) X(key_repeated) X(list_key_repeated) X(key_misused) X(list_refused) X(too_many_queued) \
  X(storage_full_answered) X(unknown_answered) X(foreign_job_hidden) X(job_patched) X(job_redriven) \
  X(bulk_redriven) X(bulk_cancelled) X(batch_cancelled) X(batch_deleted) X(dead_letter_dismissed) X(batch_closed) X(batch_paused) \
  X(slices_resumed_after_crash) X(cancel_while_waiting) X(cancel_while_running) X(cancel_raced_with_finish) \
  X(retried) X(attempts_used_up) X(queue_timeout) X(poison) X(tenant_at_its_limit) X(batch_at_its_limit) \
  X(share_compared) X(given_back_unstarted) X(sick_host_rested) X(sick_host_avoided) X(sick_host_tried_again) \
  X(never_started) X(memory_raised) X(memory_at_its_most) X(progress_told) X(scaler_took_over) X(scaler_stale) X(host_retired) X(host_not_retired) \
  X(machine_ordered) X(machine_kept) X(machine_removed) X(job_purged) X(events_purged) X(log_checkpointed)
// clang-format on

enum class Path {
#define GERES_PATH(name) name,
  GERES_PATHS(GERES_PATH)
#undef GERES_PATH
      count
};

constexpr std::size_t kPaths = std::size_t(Path::count);
constexpr const char* kPathNames[] = {
#define GERES_PATH(name) #name,
    GERES_PATHS(GERES_PATH)
#undef GERES_PATH
};

using PathCounts = std::array<std::uint64_t, kPaths>;

}  // namespace geres::simulation
