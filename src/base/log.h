// SPDX-License-Identifier: Apache-2.0
// Structured logs: one line an event, on standard error. Text on a terminal, JSON lines elsewhere.
// Never log a secret, a token, parameters or a job's output.
#pragma once

#include <spdlog/spdlog.h>

#include <string>

namespace geres::log {

using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;

enum class Format { automatic, text, json };

// Once, from main, before other threads. `part` names the program's part ("hub", "host") in each line.
void start(const std::string& part, Format format = Format::automatic, const std::string& level = "info");

}  // namespace geres::log
