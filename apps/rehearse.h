// SPDX-License-Identifier: Apache-2.0
// geres scaler rehearse, between the command line and the simulation.
#pragma once

#include "cli/serve.h"

namespace geres::apps {

cli::Rehearsed rehearse(const cli::RehearsalSettings& settings);

}  // namespace geres::apps
