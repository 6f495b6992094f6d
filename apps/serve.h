// SPDX-License-Identifier: Apache-2.0
// Hub and host, put together from the command line's settings, run until a signal ends them.
#pragma once

#include "cli/serve.h"

namespace geres::apps {

cli::Services services();

}  // namespace geres::apps
