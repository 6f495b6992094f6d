// SPDX-License-Identifier: Apache-2.0
// Every move a job's state may make; the only copy. docs/job_states.md has the picture.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "model/job_state.h"

namespace geres::model {

enum class Trigger {
  submit,        // a new job
  delay,         // a new job that is not due yet
  due,           // its time has come: the delay or the pause before a retry is over
  grant,         // a host was given a lease
  start,         // the host says that the process runs
  finish,        // exit 0
  retry,         // a failed attempt, tries left: waits out its backoff
  requeue,       // released or lost: nobody's fault, ready again at once
  fail,          // for good: a dead letter
  cancel,        // confirmed, or it had not started
  expire_queue,  // waited longer than queueTimeout
};

// The state a trigger leads to from `from` (nullopt: the job does not exist yet), or nullopt if it must not happen.
std::optional<JobState> next_state(std::optional<JobState> from, Trigger trigger);

struct Transition {
  std::optional<JobState> from;
  Trigger trigger;
  JobState to;
};
std::span<const Transition> transitions();

std::string_view state_name(JobState state);

}  // namespace geres::model
