// SPDX-License-Identifier: Apache-2.0
// A batch that is cancelled leaves the scheduler at once; its jobs follow in slices.
#include "hub/engine/batches.h"

#include <fmt/format.h>

namespace geres::hub::engine {

using store::EventType;

namespace {

store::BatchEvent event_of(const model::Batch& batch) {
  return {batch.name, batch.state, batch.priority, batch.paused};
}

Error no_batch(const std::string& text) {
  return fail(Code::unknownBatch, fmt::format("there is no batch '{}'", text), "/batch", "geres batch list shows them");
}

}  // namespace

Result<BatchState*> Batches::batch_for(const Caller& caller, const std::string& text, bool change) {
  const auto visible = [&](const BatchState& batch) {
    return batch.row.tenant.empty() || caller.sees(batch.row.tenant);
  };
  BatchState* found = nullptr;
  if (text == "batch0") {
    found = &state_.batches.at(model::kDefaultBatch);
  } else if (const auto id = parse_uuid(text)) {
    if (const auto it = state_.batches.find(*id); it != state_.batches.end() && visible(it->second))
      found = &it->second;
  } else {
    for (auto& [id, batch] : state_.batches) {
      if (batch.row.name != text || !visible(batch)) continue;
      if (found != nullptr)
        return fail(Code::conflict, fmt::format("more than one tenant has a batch '{}'", text), "/batch", "use its id");
      found = &batch;
    }
  }
  if (found == nullptr) return no_batch(text);
  if (change && found->row.tenant.empty() && !caller.operator_)
    return fail(Code::forbidden, fmt::format("batch '{}' is shared by all tenants", found->row.name), {},
                "a token with the role operator");
  return found;
}

Result<model::Batch> Batches::create(const Caller& caller, const NewBatch& wanted) {
  if (wanted.tenant.empty() && !caller.operator_)
    return fail(Code::forbidden, "a batch without tenant is shared by all", "/tenant",
                "name a tenant, or use a token with the role operator");
  if (wanted.priority && *wanted.priority < 100 && !caller.operator_)
    return fail(Code::forbidden, fmt::format("priority {} is reserved", *wanted.priority), "/priority",
                "100 or more, or a token with the role operator");
  if (wanted.name == "batch0" || state_.batch_names.contains({wanted.tenant, wanted.name}))
    return fail(Code::nameTaken, fmt::format("there is a batch '{}' already", wanted.name), "/name",
                "another name, or use the batch that is there");
  model::Batch row;
  row.id = ids_.next(now_.wall);
  row.tenant = wanted.tenant;
  row.name = wanted.name;
  row.priority = wanted.priority.value_or(row.priority);
  row.dedicated = wanted.dedicated;
  row.max_running = wanted.max_running;
  row.created_at = now_.wall;
  row.created_by = caller.name;
  row.over_tenants = caller.operator_;
  if (!row.tenant.empty()) lanes_.tenant(row.tenant);
  state_.batches[row.id].row = row;
  state_.batch_names[{row.tenant, row.name}] = row.id;
  store_.changes().batches.push_back(row);
  events_.emit(EventType::batch_created, row.id, row.tenant, event_of(row));
  return row;
}

Result<model::Batch> Batches::close(const Caller& caller, const std::string& text) {
  auto found = batch_for(caller, text, true);
  if (!found) return found.error();
  auto& batch = **found;
  if (batch.row.id == model::kDefaultBatch)
    return fail(Code::batchFixed, "batch0 is always open: it can be neither closed nor cancelled", {},
                "pause it instead");
  if (batch.row.state != model::BatchState::open) return batch.row;
  batch.row.state = model::BatchState::closed;
  store_.changes().batches.push_back(batch.row);
  events_.emit(EventType::batch_closed, batch.row.id, batch.row.tenant, event_of(batch.row));
  events_.emit_if_completed(batch);
  return batch.row;
}

// Its lanes leave the scheduler with this tick; the jobs follow in slices.
Result<model::Batch> Batches::cancel(const Caller& caller, const std::string& text, const CancelWhat& what) {
  auto found = batch_for(caller, text, true);
  if (!found) return found.error();
  auto& batch = **found;
  if (batch.row.id == model::kDefaultBatch)
    return fail(Code::batchFixed, "batch0 is always open: it can be neither closed nor cancelled", {},
                "cancel its jobs by a filter: POST /v1/jobs/cancel");
  if (batch.row.state == model::BatchState::cancelled) return batch.row;
  batch.row.state = model::BatchState::cancelled;
  state_.board.touch(batch);
  store_.changes().batches.push_back(batch.row);
  events_.emit(EventType::batch_cancelled, batch.row.id, batch.row.tenant, event_of(batch.row));
  store::JobFilter filter;
  filter.batch = batch.row.id;
  filter.states = {model::JobState::scheduled, model::JobState::ready, model::JobState::leased,
                   model::JobState::running};
  Caller everybody = caller;
  everybody.all_tenants = true;  // whoever may cancel the batch cancels all its jobs
  static_cast<void>(operations_.start(everybody, store::OperationKind::cancel_batch, filter, what));
  events_.emit_if_completed(batch);
  return batch.row;
}

Result<model::Batch> Batches::pause(const Caller& caller, const std::string& text, bool paused) {
  auto found = batch_for(caller, text, true);
  if (!found) return found.error();
  auto& row = (*found)->row;
  if (row.paused == paused) return row;
  row.paused = paused;
  state_.board.touch(**found);
  round_.newcomers = true;
  store_.changes().batches.push_back(row);
  return row;
}

// Its jobs go in slices, itself with the last of them.
Result<Uuid> Batches::remove(const Caller& caller, const std::string& text) {
  auto found = batch_for(caller, text, true);
  if (!found) return found.error();
  const auto& batch = **found;
  if (batch.row.id == model::kDefaultBatch)
    return fail(Code::batchFixed, "batch0 is always there: it cannot be deleted", {},
                "its jobs go by themselves when their time is over: keepFinished and keepFailed of the tenant");
  if (batch.row.state == model::BatchState::open)
    return fail(Code::batchOpen, fmt::format("batch '{}' is open: jobs can be submitted to it", batch.row.name), {},
                "close or cancel it first");
  if (batch.live > 0)
    return fail(Code::notEnded,
                fmt::format("{} {} of batch '{}' {} not ended", batch.live, batch.live == 1 ? "job" : "jobs",
                            batch.row.name, batch.live == 1 ? "has" : "have"),
                {}, "wait for them, or cancel the batch first");
  store::JobFilter filter;
  filter.batch = batch.row.id;
  Caller everybody = caller;
  everybody.all_tenants = true;  // whoever may delete the batch deletes all its jobs
  return operations_.start(everybody, store::OperationKind::delete_batch, filter, {});
}

}  // namespace geres::hub::engine
