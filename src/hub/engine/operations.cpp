// SPDX-License-Identifier: Apache-2.0
// Cancels come before what makes new jobs, and nobody waits for the end of another's work.
#include "hub/engine/operations.h"

#include <algorithm>

#include "model/job.h"

namespace geres::hub::engine {

using store::OperationKind;

Result<Uuid> Operations::start(const Caller& caller, OperationKind kind, const store::JobFilter& filter,
                               const CancelWhat& what) {
  store::OperationRow operation;
  operation.id = ids_.next(now_.wall);  // sorts after every job that is there, so it is the bound too
  operation.kind = kind;
  operation.filter = filter;
  operation.bound = operation.id.seq();
  operation.grace = what.grace;
  operation.text = kind == OperationKind::redrive_filter ? caller.name : what.reason;
  if (!caller.all_tenants) {
    auto& tenants = operation.filter.tenants;
    if (tenants.empty()) tenants = caller.tenants;
    std::erase_if(tenants, [&](const auto& tenant) { return !caller.sees(tenant); });
    if (tenants.empty()) tenants = {""};  // nobody's: matches nothing
  }
  if (kind == OperationKind::cancel_batch || kind == OperationKind::cancel_filter) cancel_leased(operation);
  store_.changes().operations.push_back(operation);
  state_.operations.emplace(operation.id, operation);
  return operation.id;
}

// Jobs that run are told at once, from memory: however many ended ones the slices have to pass, or others wait for.
void Operations::cancel_leased(const store::OperationRow& operation) {
  const std::size_t most = options_.slice * 4;  // the slices reach the rest
  Outbox::SliceDone done{operation.id, {}, false};
  for (auto& [seq, lease] : state_.leases) {
    if (std::size_t(done.done.count) >= most) break;
    if (lease.row.cancel_requested_at || seq > operation.bound || !store::matches(operation.filter, *lease.job))
      continue;
    attempts_.request_cancel(lease, {operation.grace, operation.text});
    done.done.add(lease.row.job, model::Reason::none);
  }
  out_.slices_done.push_back(std::move(done));
}

// A slice of each of a few. Cancels come first, but leave something to what makes new jobs; of each kind one begins
// after the last one served, so that none waits for the end of another.
void Operations::run(bool growing) {
  constexpr std::size_t kSlices = 4, kOfCancels = 3;
  std::size_t left = kSlices;
  for (const bool cancels : {true, false}) {
    if (!cancels && !growing) break;  // waits until there is space
    std::vector<Uuid> mine;
    for (const auto& [id, operation] : state_.operations)
      if ((operation.kind != OperationKind::redrive_filter) == cancels) mine.push_back(id);
    auto& last = cancels ? state_.last_cancel : state_.last_redrive;
    std::rotate(mine.begin(), std::upper_bound(mine.begin(), mine.end(), last), mine.end());
    const std::size_t many = std::min(mine.size(), cancels ? kOfCancels : left);
    for (std::size_t i = 0; i < many; ++i) {
      last = mine[i];
      round_.more |= !run_slice(state_.operations.at(mine[i]));
    }
    round_.more |= mine.size() > many;
    left -= many;
  }
}

// True: that was its last.
bool Operations::run_slice(store::OperationRow& operation) {
  if (operation.kind == OperationKind::replay_dead) return settle_slice(operation, webhooks_.replay_slice(operation));
  const auto slice = store_.read().slice(operation.filter, operation.cursor, operation.bound, options_.slice);
  const CancelWhat what{operation.grace, operation.text};
  Outbox::SliceDone done{operation.id, {}, slice.last};
  for (auto& job : store_.read().jobs(slice.ids)) {
    if (!job) continue;
    const auto reason = job->status.reason;
    if (operation.kind == OperationKind::delete_batch) {
      if (!model::ended(job->status.state)) continue;  // run again meanwhile
      book_.purge(*job);
      done.done.add(job->id, model::Reason::none);
    } else if (operation.kind == OperationKind::dismiss_filter) {
      if (book_.settle(*job)) done.done.add(job->id, reason);
    } else if (operation.kind == OperationKind::redrive_filter) {
      if (!model::ended(job->status.state) || job->status.redriven_as || job->status.settled_at) continue;
      if (const auto made = book_.redrive(std::move(*job), operation.text)) done.done.add(made->id, reason);
    } else if (attempts_.cancel(*job, what)) {
      done.done.add(job->id, model::Reason::none);
    }
  }
  operation.cursor = slice.cursor;
  return settle_slice(operation, std::move(done));
}

bool Operations::settle_slice(store::OperationRow& operation, Outbox::SliceDone done) {
  const bool last = done.last;
  operation.done += done.done.count;
  out_.slices_done.push_back(std::move(done));
  if (!last) {
    store_.changes().operations.push_back(operation);
    return false;
  }
  const bool deletes = operation.kind == OperationKind::delete_batch;
  const auto batch = operation.filter.batch;
  store_.changes().operations_removed.push_back(operation.id);
  state_.operations.erase(operation.id);
  if (const auto left = deletes ? state_.batches.find(*batch) : state_.batches.end(); left != state_.batches.end())
    book_.forget_if_empty(left->second);
  return true;
}

}  // namespace geres::hub::engine
