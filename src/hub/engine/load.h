// SPDX-License-Identifier: Apache-2.0
// How the state is built from the store.
#pragma once

#include "hub/engine/round.h"

namespace geres::hub::engine {

std::unique_ptr<State> load_state(store::Store& store, const Now& now, IdSource& ids);

}  // namespace geres::hub::engine
