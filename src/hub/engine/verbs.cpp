// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/verbs.h"

#include <algorithm>

namespace geres::hub::engine {

bool Caller::sees(const std::string& tenant) const {
  return all_tenants || std::find(tenants.begin(), tenants.end(), tenant) != tenants.end();
}

void BulkDone::add(Uuid id, model::Reason reason) {
  ++count;
  if (reason != model::Reason::none) ++by_reason[reason];
  if (ids.size() < kIdsMax) ids.push_back(id);
}

void BulkDone::add(const BulkDone& more) {
  count += more.count;
  for (const auto& [reason, n] : more.by_reason) by_reason[reason] += n;
  const auto room = std::min(more.ids.size(), kIdsMax - ids.size());
  ids.insert(ids.end(), more.ids.begin(), more.ids.begin() + std::ptrdiff_t(room));
}

}  // namespace geres::hub::engine
