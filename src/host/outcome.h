// SPDX-License-Identifier: Apache-2.0
// How an attempt ended, in the hub's words: applies the rules of docs/job_states.md to what the runner reported.
#pragma once

#include <string>

#include "wire/host/host_protocol.h"
#include "wire/runner/runner_channel.h"

namespace geres::host {

struct EndFacts {
  bool library = false;   // run by the loader, whose exit codes say more
  Millis timeout_ms = 0;  // for the sentence about it
};

// The item of the report, without result and files.
wire::FinishedItem judge(const std::string& lease, const wire::RunResult& run, const EndFacts& facts);

// For an attempt that started no process, or whose process no longer matters.
wire::FinishedItem ended_without_run(const std::string& lease, model::Outcome outcome, std::string error);

// Whether the job's result and files are kept: also for one that was stopped, since it may have left a checkpoint.
bool has_result(model::Outcome outcome);

}  // namespace geres::host
