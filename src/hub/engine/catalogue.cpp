// SPDX-License-Identifier: Apache-2.0
// Batches, tenants, packages and tokens: what jobs refer to.
#include <fmt/format.h>

#include <algorithm>

#include "hub/engine/tick.h"

namespace geres::hub::engine {

using store::EventType;

namespace {

std::string batch_data(const model::Batch& batch) {
  const char* state = batch.state == model::BatchState::open     ? "open"
                      : batch.state == model::BatchState::closed ? "closed"
                                                                 : "cancelled";
  return fmt::format(R"({{"name":"{}","state":"{}","priority":{},"paused":{}}})", batch.name, state, batch.priority,
                     batch.paused);
}

Error no_batch(const std::string& text) {
  return fail(Code::unknownBatch, fmt::format("there is no batch '{}'", text), "/batch", "geres batch list shows them");
}

}  // namespace

// ---- batches --------------------------------------------------------------------------------------------------------

// A tenant's jobs see its own batches and the shared ones; its own name wins.
BatchState* Tick::find_batch(const std::string& tenant, const std::string& text) {
  if (text.empty() || text == "batch0") return &state_.batches.at(model::kDefaultBatch);
  if (const auto id = parse_uuid(text)) {
    const auto found = state_.batches.find(*id);
    if (found == state_.batches.end()) return nullptr;
    const auto& owner = found->second.row.tenant;
    return owner.empty() || owner == tenant ? &found->second : nullptr;
  }
  for (const auto& owner : {tenant, std::string()})
    if (const auto named = state_.batch_names.find({owner, text}); named != state_.batch_names.end())
      return &state_.batches.at(named->second);
  return nullptr;
}

Result<BatchState*> Tick::batch_for(const Caller& caller, const std::string& text, bool change) {
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

Result<model::Batch> Tick::create_batch(const Caller& caller, const NewBatch& wanted) {
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
  if (!row.tenant.empty()) tenant(row.tenant);
  state_.batches[row.id].row = row;
  state_.batch_names[{row.tenant, row.name}] = row.id;
  changes_.batches.push_back(row);
  emit(EventType::batch_created, row.id, row.tenant, batch_data(row));
  return row;
}

Result<model::Batch> Tick::close_batch(const Caller& caller, const std::string& text) {
  auto found = batch_for(caller, text, true);
  if (!found) return found.error();
  auto& batch = **found;
  if (batch.row.id == model::kDefaultBatch)
    return fail(Code::batchFixed, "batch0 is always open: it can be neither closed nor cancelled", {},
                "pause it instead");
  if (batch.row.state != model::BatchState::open) return batch.row;
  batch.row.state = model::BatchState::closed;
  changes_.batches.push_back(batch.row);
  emit(EventType::batch_closed, batch.row.id, batch.row.tenant, batch_data(batch.row));
  emit_if_completed(batch);
  return batch.row;
}

// Its lanes leave the scheduler with this tick; the jobs follow in slices.
Result<model::Batch> Tick::cancel_batch(const Caller& caller, const std::string& text, const CancelWhat& what) {
  auto found = batch_for(caller, text, true);
  if (!found) return found.error();
  auto& batch = **found;
  if (batch.row.id == model::kDefaultBatch)
    return fail(Code::batchFixed, "batch0 is always open: it can be neither closed nor cancelled", {},
                "cancel its jobs by a filter: POST /v1/jobs/cancel");
  if (batch.row.state == model::BatchState::cancelled) return batch.row;
  batch.row.state = model::BatchState::cancelled;
  changes_.batches.push_back(batch.row);
  emit(EventType::batch_cancelled, batch.row.id, batch.row.tenant, batch_data(batch.row));
  store::JobFilter filter;
  filter.batch = batch.row.id;
  filter.states = {model::JobState::scheduled, model::JobState::ready, model::JobState::leased,
                   model::JobState::running};
  Caller everybody = caller;
  everybody.all_tenants = true;  // whoever may cancel the batch cancels all its jobs
  static_cast<void>(start_operation(everybody, store::OperationKind::cancel_batch, filter, what));
  emit_if_completed(batch);
  return batch.row;
}

Result<model::Batch> Tick::pause_batch(const Caller& caller, const std::string& text, bool paused) {
  auto found = batch_for(caller, text, true);
  if (!found) return found.error();
  auto& row = (*found)->row;
  if (row.paused == paused) return row;
  row.paused = paused;
  newcomers_ = true;
  changes_.batches.push_back(row);
  return row;
}

// Its jobs go in slices, itself with the last of them.
Result<Uuid> Tick::delete_batch(const Caller& caller, const std::string& text) {
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
  return start_operation(everybody, store::OperationKind::delete_batch, filter, {});
}

// One that takes no jobs and has none left. True: it is gone.
bool Tick::forget_if_empty(const BatchState& batch) {
  const Uuid id = batch.row.id;
  if (id == model::kDefaultBatch || batch.row.state == model::BatchState::open) return false;
  for (const auto& [owner, counts] : batch.counts)
    if (std::any_of(counts.begin(), counts.end(), [](auto n) { return n != 0; })) return false;
  for (const auto& [operation, row] : state_.operations)
    if (row.filter.batch == id) return false;
  flush();  // its last counts before itself
  for (auto lane = state_.lanes.lower_bound({.batch = id}); lane != state_.lanes.end() && lane->first.batch == id;)
    lane = drop_lane(lane);
  changes_.batches_removed.push_back(id);
  batches_gone.push_back(id);
  state_.batch_names.erase({batch.row.tenant, batch.row.name});
  state_.batches.erase(id);
  return true;
}

// ---- tenants --------------------------------------------------------------------------------------------------------

Result<model::Tenant> Tick::put_tenant(const std::string& name, const TenantSettings& settings) {
  auto& row = tenant(name).row;
  if (settings.weight) {
    // Of what it has had it keeps its place among the others.
    auto& account = tenant(name).account;
    const double stands = virtual_time(account.spent(now_.monotonic), row.weight);
    row.weight = *settings.weight;
    account.set_spent(slot_time(stands, row.weight), now_.monotonic);
  }
  if (settings.max_running) row.max_running = *settings.max_running;
  if (settings.max_queued) row.max_queued = *settings.max_queued;
  if (settings.max_memory_per_job) row.max_memory_per_job = *settings.max_memory_per_job;
  if (settings.keep_finished) row.keep_finished = *settings.keep_finished;
  if (settings.keep_failed) row.keep_failed = *settings.keep_failed;
  newcomers_ = true;
  changes_.tenants.push_back(row);
  return row;
}

// ---- packages -------------------------------------------------------------------------------------------------------

Result<KeptPackage> Tick::put_package(const model::PackageVersion& package) {
  tenant(package.tenant);
  auto& versions = state_.packages[{package.tenant, package.name}];
  if (!versions.empty() && versions.back().sha256 == package.sha256) return KeptPackage{versions.back(), true};
  auto row = package;
  row.version = versions.empty() ? 1 : versions.back().version + 1;
  row.created_at = now_.wall;
  // An older version pushed again becomes the newest; one row a digest.
  const auto same =
      std::find_if(versions.begin(), versions.end(), [&](const auto& v) { return v.sha256 == row.sha256; });
  if (same != versions.end()) versions.erase(same);
  versions.push_back(row);
  changes_.packages.push_back(row);
  return KeptPackage{std::move(row)};
}

Result<std::int64_t> Tick::delete_package(const std::string& owner, const std::string& name,
                                          const std::string& sha256) {
  const auto found = state_.packages.find({owner, name});
  std::vector<model::PackageVersion> doomed;
  if (found != state_.packages.end())
    for (const auto& version : found->second)
      if (sha256.empty() || version.sha256 == sha256) doomed.push_back(version);
  if (doomed.empty())
    return fail(Code::unknownPackage, fmt::format("tenant {} has no package '{}'{}", owner, name,
                                                  sha256.empty() ? "" : " with sha256 " + sha256));
  flush();
  for (const auto& version : doomed)
    if (store_.package_in_use(owner, version.sha256))
      return fail(
          Code::packageInUse,
          fmt::format("version {} of {}/{} is needed by a job that has not ended", version.version, owner, name), {},
          "wait for its jobs, or cancel them");
  for (const auto& version : doomed) {
    changes_.packages_removed.push_back(version);
    std::erase_if(found->second, [&](const auto& v) { return v.sha256 == version.sha256; });
  }
  if (found->second.empty()) state_.packages.erase(found);
  return std::int64_t(doomed.size());
}

// ---- tokens ---------------------------------------------------------------------------------------------------------

Result<model::Token> Tick::create_token(const model::Token& token) {
  auto row = token;
  std::sort(row.tenants.begin(), row.tenants.end());
  row.tenants.erase(std::unique(row.tenants.begin(), row.tenants.end()), row.tenants.end());
  flush();
  if (store_.token_named(row.name, row.tenants, now_.wall))
    return fail(Code::nameTaken, fmt::format("there is a token '{}' for the same tenants", row.name), "/name",
                "another name, or delete the token that is there first");
  row.id = ids_.next(now_.wall);
  row.created_at = now_.wall;
  changes_.tokens.push_back(row);
  return row;
}

Result<bool> Tick::delete_token(Uuid id) {
  changes_.tokens_removed.push_back(id);
  return true;
}

}  // namespace geres::hub::engine
