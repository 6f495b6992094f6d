// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/scaler_figures.h"

#include <algorithm>

namespace geres::hub::engine {

ScalerFigures::OfPool& ScalerFigures::of_pool(const std::string& pool) {
  if (const auto found = pools_.find(pool); found != pools_.end()) return found->second;
  const auto own = pools_.size() - pools_.count(kOther);
  return pools_[own < kPools ? pool : kOther];
}

void ScalerFigures::add(const std::vector<ScalerSeen>& seen) {
  if (seen.empty()) return;
  const std::lock_guard lock(mutex_);
  for (const auto& one : seen) {
    auto& figures = of_pool(one.pool);
    switch (one.what) {
      case ScalerSeen::What::decided:
        ++figures.decisions[one.word];
        figures.wanted = one.wanted;
        figures.actual = one.actual;
        break;
      case ScalerSeen::What::provider_failed:
        ++figures.failures[one.word];
        break;
      case ScalerSeen::What::booted:
        figures.boot.observe(std::max(0.0, one.seconds));
        break;
    }
  }
}

void ScalerFigures::each_pool(const std::function<void(const std::string& pool, const OfPool&)>& tell) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [pool, figures] : pools_) tell(pool, figures);
}

}  // namespace geres::hub::engine
