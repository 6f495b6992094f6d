// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/state.h"

namespace geres::hub::engine {

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
