// SPDX-License-Identifier: Apache-2.0
// What a command line calls a token, a webhook or a host: its name, its id, or what a table shows of the id.
#pragma once

#include <string>

#include "cli/context.h"

namespace geres::cli {

// The id of the one that is meant, out of the list at `path` ("/v1/tokens"). `noun`: "token". Throws Trouble: none is
// called so, or several are.
std::string resolve_named(Context& context, const std::string& path, const std::string& noun, const std::string& text);

}  // namespace geres::cli
