// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/outcomes.h"

#include <algorithm>

namespace geres::hub::engine {

Outcomes::OfType& Outcomes::of_type(const std::string& type) {
  if (const auto found = types_.find(type); found != types_.end()) return found->second;
  const auto own = types_.size() - types_.count(kOther);
  return types_[own < kTypes ? type : kOther];
}

void Outcomes::add(const std::vector<Observed>& seen) {
  if (seen.empty()) return;
  const std::lock_guard lock(mutex_);
  for (const auto& one : seen) {
    switch (one.what) {
      case Observed::What::started:
        of_type(one.type).wait.observe(std::max(0.0, one.seconds));
        break;
      case Observed::What::attempt_ended:
        ++attempts_[std::size_t(one.outcome)];
        if (one.seconds >= 0) of_type(one.type).run.observe(one.seconds);
        break;
      case Observed::What::job_ended:
        ++jobs_[{one.state, one.reason}];
        break;
    }
  }
}

void Outcomes::each_type(const std::function<void(const std::string& type, const OfType&)>& tell) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [type, figures] : types_) tell(type, figures);
}

std::map<std::pair<model::JobState, model::Reason>, std::int64_t> Outcomes::jobs() const {
  const std::lock_guard lock(mutex_);
  return jobs_;
}

std::int64_t Outcomes::attempts(model::Outcome outcome) const {
  const std::lock_guard lock(mutex_);
  return attempts_[std::size_t(outcome)];
}

}  // namespace geres::hub::engine
