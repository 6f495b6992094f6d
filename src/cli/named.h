// SPDX-License-Identifier: Apache-2.0
// How a command line names a token, a webhook or a host: by name, by id, or by the part of the id that a table shows.
#pragma once

#include <string>

#include "cli/context.h"

namespace geres::cli {

// The id of the item in the list at `path` ("/v1/tokens") that `text` names. `noun`: "token". Throws Trouble if there
// is none, or more than one.
std::string resolve_named(Context& context, const std::string& path, const std::string& noun, const std::string& text);

// The host that `text` names: by its name, its id, four or more digits of the start or end of its id, or the start of
// its name if only one has it. Names of lost hosts are used again, and then the live one is meant. Throws Trouble.
json::value resolve_host(Context& context, const std::string& text);
// The host's name; `text` itself if no current host matches, because jobs keep the names of hosts that are gone.
std::string host_name(Context& context, const std::string& text);

}  // namespace geres::cli
