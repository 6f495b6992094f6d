// SPDX-License-Identifier: Apache-2.0
// Submitting jobs: what POST /v1/jobs and the GeRes2 API share.
#pragma once

#include "hub/api/call.h"
#include "wire/api/job_spec.h"

namespace geres::hub::api {

// Everything between checked specs and the engine's answer: whether the caller may use the tenants, and whether the
// inputs exist.
awaitable<Result<engine::Submitted>> submit(Call& call, engine::Submit what);

engine::NewJob new_job(wire::ParsedJob job);

awaitable<Answered> post_jobs(Call& call);

}  // namespace geres::hub::api
