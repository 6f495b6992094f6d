// SPDX-License-Identifier: Apache-2.0
// What a command line calls a token, a webhook or a host: its name, its id, or what a table shows of the id.
#pragma once

#include <string>

#include "cli/context.h"

namespace geres::cli {

// The id of the one that is meant, out of the list at `path` ("/v1/tokens"). `noun`: "token". Throws Trouble: none is
// called so, or several are.
std::string resolve_named(Context& context, const std::string& path, const std::string& noun, const std::string& text);

// The host that is meant: by its name, its id, four digits or more of the start or end of its id, or the start of its
// name, where only one has them. Names of lost hosts are used again: the live one is meant. Throws Trouble.
json::value resolve_host(Context& context, const std::string& text);
// Its name; `text` itself where no host of today is called so, since jobs keep the names of hosts that are gone.
std::string host_name(Context& context, const std::string& text);

}  // namespace geres::cli
