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

// Opens `path` of the page ("jobs/ID") in a browser, or prints its address where there is none to open it with, or
// nobody at a terminal. The exit code of the command.
int show_in_browser(Context& context, const std::string& path);

}  // namespace geres::cli
