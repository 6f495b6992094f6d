// SPDX-License-Identifier: Apache-2.0
// An event in words: which host has a job, how an attempt ended, and when the next one comes.
#pragma once

#include <string>

#include "cli/context.h"

namespace geres::cli {

// `type` without "geres."; `data` is the event's; `at` when it happened, if known.
std::string event_words(const std::string& type, const json::value& data, std::optional<Millis> at);

}  // namespace geres::cli
