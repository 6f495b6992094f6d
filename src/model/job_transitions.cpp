// SPDX-License-Identifier: Apache-2.0
#include "model/job_transitions.h"

#include <array>
#include <boost/describe/enum_to_string.hpp>

#include "model/batch.h"

namespace geres::model {
namespace {

using enum JobState;

constexpr std::array kTransitions{
    Transition{std::nullopt, Trigger::submit, ready}, Transition{std::nullopt, Trigger::delay, scheduled},
    Transition{scheduled, Trigger::due, ready},       Transition{scheduled, Trigger::cancel, cancelled},
    Transition{ready, Trigger::delay, scheduled},  // notBefore was moved while it waited
    Transition{ready, Trigger::grant, leased},        Transition{ready, Trigger::cancel, cancelled},
    Transition{ready, Trigger::expire_queue, failed}, Transition{leased, Trigger::start, running},
    Transition{leased, Trigger::finish, finished},  // so short that start and end came in one report
    Transition{leased, Trigger::retry, scheduled},    Transition{leased, Trigger::requeue, ready},
    Transition{leased, Trigger::fail, failed},        Transition{leased, Trigger::cancel, cancelled},
    Transition{running, Trigger::finish, finished},   Transition{running, Trigger::retry, scheduled},
    Transition{running, Trigger::requeue, ready},     Transition{running, Trigger::fail, failed},
    Transition{running, Trigger::cancel, cancelled},
};

}  // namespace

std::optional<JobState> next_state(std::optional<JobState> from, Trigger trigger) {
  for (const auto& move : kTransitions)
    if (move.from == from && move.trigger == trigger) return move.to;
  return std::nullopt;
}

std::span<const Transition> transitions() {
  return kTransitions;
}

std::string_view state_name(JobState state) {
  return boost::describe::enum_to_string(state, "?");
}

std::string batch_text(Uuid batch) {
  return batch == kDefaultBatch ? "batch0" : batch.str();
}

}  // namespace geres::model
