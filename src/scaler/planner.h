// SPDX-License-Identifier: Apache-2.0
// What becomes of a policy's answer: how many hosts a pool gets now, after everything that speaks for fewer, more or
// later. One pure function; its steps are applied in the order in which Plan's words name them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "geres/policy.h"
#include "scaler/pool.h"

namespace geres::scaler {

// An earlier evaluation.
struct Answered {
  Millis at = 0;
  std::int64_t raw = 0;  // what the policy had answered
};

// What keeps a pool's provider from being asked.
struct Hold {
  bool out = false;  // orders no more
  bool in = false;   // removes no more
  std::string why;   // "quota until 14:05"
};

struct PlanInput {
  policy::Load load;
  Limits limits;
  policy::Wanted raw;
  bool follows_work = true;       // as of the policy (policies.h)
  bool by_hand = false;           // `raw` is what an operator asked for
  bool paused = false;            // by an operator
  std::vector<Answered> history;  // oldest first
  std::optional<Millis> last_out, last_in;
  Hold hold;
};

constexpr std::size_t kReasonMax = 200;  // bytes

struct Plan {
  std::int64_t wanted = 0;
  std::int64_t actual = 0;  // ready and coming
  std::string reason;       // the policy's, and a word for each step that changed the number
};

Plan plan(const PlanInput& input);

}  // namespace geres::scaler
