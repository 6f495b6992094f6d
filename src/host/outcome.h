// SPDX-License-Identifier: Apache-2.0
// How an attempt ended, in the hub's words: the rules of docs/job_states.md applied to what the runner saw.
#pragma once

#include <string>

#include "wire/host/host_protocol.h"
#include "wire/runner/runner_channel.h"

namespace geres::host {

struct EndFacts {
  bool library = false;   // run by the loader, whose exit codes mean more
  Millis timeout_ms = 0;  // for the sentence
};

// The item for the report, without result and files.
wire::FinishedItem judge(const std::string& lease, const wire::RunResult& run, const EndFacts& facts);

// An attempt that no process was started for, or whose process is of no interest any more.
wire::FinishedItem ended_without_run(const std::string& lease, model::Outcome outcome, std::string error);

// Whether the job's own result and files are wanted: also those of one that was stopped, a checkpoint perhaps.
bool has_result(model::Outcome outcome);

}  // namespace geres::host
