// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/state.h"

namespace geres::hub::engine {

void State::set_ready(LaneState& lane, std::int64_t jobs) {
  if (lane.ready == 0 && jobs > 0) {
    lane.waits_at = waiting.size();
    waiting.push_back(&lane);
  } else if (lane.ready > 0 && jobs == 0) {
    waiting[lane.waits_at] = waiting.back();
    waiting[lane.waits_at]->waits_at = lane.waits_at;
    waiting.pop_back();
  }
  lane.ready = jobs;
  if (jobs == 0) lane.passed_over_since = 0;
  board.touch(lane);
}

BatchState* State::find_batch(const std::string& tenant, const std::string& text) {
  if (text.empty() || text == "batch0") return &batches.at(model::kDefaultBatch);
  if (const auto id = parse_uuid(text)) {
    const auto found = batches.find(*id);
    if (found == batches.end()) return nullptr;
    const auto& owner = found->second.row.tenant;
    return owner.empty() || owner == tenant ? &found->second : nullptr;
  }
  for (const auto& owner : {tenant, std::string()})
    if (const auto named = batch_names.find({owner, text}); named != batch_names.end())
      return &batches.at(named->second);
  return nullptr;
}

}  // namespace geres::hub::engine
