// SPDX-License-Identifier: Apache-2.0
// What hosts cost jobs, and what that says of the hosts.
#pragma once

#include "hub/engine/state.h"

namespace geres::hub::engine {

// Given back before it started, and not in order.
bool was_not_started(const LeaseState& lease, model::Outcome outcome, const Completion* item);

// How this attempt ended is written down on the job (`now`: engine clock) and on the host (`now`: monotonic).
void book_trouble(model::Job& job, const LeaseState& lease, model::Outcome outcome, const Completion* item, Millis now);
void book_health(State& state, const LeaseState& lease, model::Outcome outcome, const Completion* item, Millis now);

// To the log: it rests, by its own will or ours, or does not any more.
void tell_health(const HostState& host);

// Is there a host but these that is alive, well, at work, of the right kind, and not kept for another batch?
bool another_fits(const State& state, const LaneState& lane, const std::string& avoided, Millis now);

// The last loss that is allowed, if two hosts took part: one alone may be to blame for all of them, and the job is
// tried on another where there is one. Twice as many are enough in any case.
bool is_poison(const State& state, const model::Job& job, const LaneState& lane, int losses_max, Millis now);

// "host tiny: no space left; host old: …"
std::string reasons_text(const model::HostTrouble& trouble);

}  // namespace geres::hub::engine
