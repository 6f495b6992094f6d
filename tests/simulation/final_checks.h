// SPDX-License-Identifier: Apache-2.0
// What can be judged when all has come to rest: the store against everything that was ever said about it.
#pragma once

#include "simulation/hub.h"

namespace geres::simulation {

void check_finally(Ledger& ledger, Hub& hub, const Plan& plan);

}  // namespace geres::simulation
