// SPDX-License-Identifier: Apache-2.0
// The whole command line as one function.
#pragma once

#include <string>
#include <vector>

#include "cli/serve.h"

namespace geres::cli {

// `args` without the program's name. Returns 0 to 4, 130, or the job's own exit code.
int run(const std::vector<std::string>& args, const Services& services = {});

}  // namespace geres::cli
