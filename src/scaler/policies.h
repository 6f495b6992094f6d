// SPDX-License-Identifier: Apache-2.0
// The policies that come with GeRes: how many hosts a load wants, before the planner looks at it.
//
//   messageCount        enough hosts to run all that runs and waits at once
//   messageWaitingTime  as few as keep the wait below a target
//   deadline            as few as finish each job within a time from when it became ready
//   fixed               by the clock on the wall
//
// Pure: the same load always has the same answer.
#pragma once

#include <memory>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "geres/policy.h"

namespace geres::scaler {

// badValue with the field, relative to the settings, for an unknown name or settings that make no sense.
Result<std::unique_ptr<policy::Policy>> make_policy(std::string_view name, const json::object& settings);

// Whether the policy asks for hosts only because there is work for them now. One that does not (fixed, a user's own)
// may ask ahead of the work.
bool follows_work(std::string_view name);

}  // namespace geres::scaler
