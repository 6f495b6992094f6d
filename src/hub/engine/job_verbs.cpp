// SPDX-License-Identifier: Apache-2.0
// Each verb checks first and changes then: one that is refused has changed nothing.
#include "hub/engine/job_verbs.h"

#include <fmt/format.h>

#include "model/job.h"

namespace geres::hub::engine {

using model::JobState;

namespace {

Error no_job(Uuid id) {
  return fail(Code::unknownJob, fmt::format("there is no job {}", id.str()));
}

}  // namespace

// ---- change ---------------------------------------------------------------------------------------------------------

Result<model::Job> JobVerbs::patch_job(const Caller& caller, Uuid id, const JobPatch& patch) {
  auto job = book_.visible_job(caller, id);
  if (!job) return no_job(id);
  auto& status = job->status;
  if (status.state != JobState::scheduled && status.state != JobState::ready)
    return fail(Code::notWaiting,
                fmt::format("job {} is {}: priority, notBefore and tags can change only until it starts", id.str(),
                            model::state_name(status.state)));
  const bool now_due = patch.not_before && (!*patch.not_before || **patch.not_before <= now_.wall);
  const bool later = patch.not_before && !now_due;
  const auto scheduled = status.state == JobState::scheduled ? store_.scheduled_row(id) : std::nullopt;
  if (patch.priority || patch.not_before) {
    LaneState* where = nullptr;
    if (!later && (!scheduled || now_due)) {
      auto found = book_.lane_of(*job);
      if (!found) return found.error();
      where = *found;
    }
    book_.take_out(*job);
    if (patch.priority) job->spec.priority = *patch.priority;
    if (patch.not_before) job->spec.not_before = *patch.not_before;
    if (later) {
      book_.delay(*job, **patch.not_before);
    } else if (scheduled && !now_due) {  // only its priority changed
      book_.make_scheduled(*scheduled);
    } else if (scheduled) {
      book_.make_due(*job, *where);
    } else {
      book_.make_ready(*job, *where);
    }
  }
  if (patch.tags) job->spec.tags = *patch.tags;
  ++status.version;
  store_.changes().edits.push_back({id, job->spec.priority, job->spec.not_before, job->spec.tags});
  book_.update(*job);
  return *job;
}

// ---- cancel ---------------------------------------------------------------------------------------------------------

Result<model::Job> JobVerbs::cancel_job(const Caller& caller, Uuid id, const CancelWhat& what) {
  auto job = book_.visible_job(caller, id);
  if (!job) return no_job(id);
  attempts_.cancel(*job, what);
  return *job;
}

// ---- run again ------------------------------------------------------------------------------------------------------

Result<model::Job> JobVerbs::redrive_job(const Caller& caller, Uuid id) {
  auto job = book_.visible_job(caller, id);
  if (!job) return no_job(id);
  if (!model::ended(job->status.state))
    return fail(Code::notEnded, fmt::format("job {} is {}: only an ended job can be run again", id.str(),
                                            model::state_name(job->status.state)));
  // A repeat of the call finds the job that the first one made, as long as that has not ended.
  if (job->status.redriven_as) {
    auto again = store_.job(*job->status.redriven_as);
    if (again && !model::ended(again->status.state)) return std::move(*again);
  }
  return book_.redrive(std::move(*job), caller.name);
}

// ---- dead letters ---------------------------------------------------------------------------------------------------

Result<model::Job> JobVerbs::dismiss_job(const Caller& caller, Uuid id) {
  auto job = book_.visible_job(caller, id);
  if (!job) return no_job(id);
  const auto state = job->status.state;
  auto why = fmt::format("job {} is {}: only a dead letter can be dismissed", id.str(), model::state_name(state));
  if (!model::ended(state)) return fail(Code::notEnded, std::move(why));
  if (state != JobState::failed) return fail(Code::conflict, std::move(why), {}, "leave it as it is");
  book_.settle(*job);
  return *job;
}

}  // namespace geres::hub::engine
