// SPDX-License-Identifier: Apache-2.0
// A job that ran out of the memory that it may have is tried again with twice as much, as far as its tenant may ask for
// that and some host has it: there, or of a pool that could make one. A job that ran out of the machine's memory before
// it had all of its own would fare no better with more, and is tried again as it is.
#pragma once

#include <cstdint>
#include <string>

namespace geres::hub::engine {

struct Completion;
struct LaneState;
struct State;

struct MoreMemory {
  std::int64_t bytes = 0;  // for the next attempt; 0: as before
  std::string sentence;    // what to tell of it, to be put behind the error; empty: nothing
};

// After an attempt of a job of `lane`. O(hosts).
MoreMemory more_memory(const State& state, const LaneState& lane, const Completion& end);

}  // namespace geres::hub::engine
