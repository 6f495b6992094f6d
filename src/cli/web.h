// SPDX-License-Identifier: Apache-2.0
// The hub's page of what a command is about.
#pragma once

#include <string>

#include "cli/command.h"
#include "cli/context.h"

namespace geres::cli {

Flag web_flag();

// Where the hub's page is, with a slash at the end. Ends the command where there is none.
std::string page_url(Context& context);

// Prints the address of `path` of the page ("jobs/ID"), and opens it in a browser where somebody sits at a terminal of
// a desktop. The exit code of the command.
int show_in_browser(Context& context, const std::string& path);

}  // namespace geres::cli
