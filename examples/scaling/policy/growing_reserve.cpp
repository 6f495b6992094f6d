// SPDX-License-Identifier: Apache-2.0
// A scaling policy: enough hosts for the work, and a reserve that is larger while the load grows.
#include <geres/policy.h>

class GrowingReserve : public geres::policy::Policy {
 public:
  explicit GrowingReserve(const geres::policy::Json& settings) : share_(settings["reserve"].real(0.2)) {}

  geres::policy::Wanted decide(const geres::policy::Load& load) override {
    const auto& demand = load.demand;
    const auto work = (demand.running.slots + demand.runnable.slots + load.pool.slots - 1) / load.pool.slots;
    const bool grows = demand.arrivals_per_second_1m > demand.arrivals_per_second_10m;
    const auto reserve = std::int64_t(double(work) * share_ * (grows ? 2 : 1));
    return {work + reserve, std::to_string(work) + " hosts of work, " + std::to_string(reserve) + " in reserve"};
  }

 private:
  double share_;
};
GERES_POLICY(GrowingReserve)
