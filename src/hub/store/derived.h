// SPDX-License-Identifier: Apache-2.0
// What every store derives from a tick's changes.
#pragma once

#include <map>
#include <string_view>
#include <utility>

#include "hub/store/rows.h"

namespace geres::hub::store {

// The numbers that a store remembers for good, though the rows go.
struct HighMarks {
  EventNo event = 0;
  std::uint64_t id = 0;
  LaneNo lane = 0;
  Seq backdated = 0;  // of the last job whose id is later than its submission, as the clock had gone back
};

void raise_marks(const Changes& changes, HighMarks& marks);

// The texts live as long as the changes.
using CountSums = std::map<std::pair<Uuid, std::string_view>, model::StateCounts>;
using DeadLetterSums = std::map<std::pair<std::string_view, model::Reason>, std::int64_t>;
CountSums summed(const std::vector<CountDelta>& deltas);
DeadLetterSums summed(const std::vector<DeadLetterDelta>& deltas);

}  // namespace geres::hub::store
