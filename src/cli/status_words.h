// SPDX-License-Identifier: Apache-2.0
// What GET /v1/status says, in words.
#pragma once

#include <string>

#include "cli/context.h"

namespace geres::cli {

std::string jobs_line(const json::value& status, const Output& output);  // "4 running · 12 ready · …"
// `hosts`: of the status.
std::string hosts_line(const json::value& hosts, const std::string& url, const Output& output);
std::string trouble_words(const json::value& hosts, const Output& output);  // why hosts get no jobs, worst first

}  // namespace geres::cli
