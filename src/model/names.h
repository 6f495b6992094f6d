// SPDX-License-Identifier: Apache-2.0
// What a name of a tenant, package, batch, host or job type may look like. They become paths and headers, so the rule
// is strict: ^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$ without "..".
//
// Names of files are another matter: jobs and people give them, so whatever Linux takes for a name and JSON can tell is
// one. Host and hub both go by check_relative_path, so that neither takes what the other refuses.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/error.h"

namespace geres::model {

bool is_name(std::string_view text);

// badValue naming `field` when `text` is no name; `what` is the noun for the message ("tenant", "batch name").
Result<void> check_name(std::string_view text, std::string_view what, std::string_view field);

constexpr std::size_t kPathBytesMax = 4'095;  // PATH_MAX without its NUL
constexpr std::size_t kPathPartBytesMax = 255;

// A relative path below some directory, "a/b.txt": UTF-8 without NUL, no part empty, "." or "..". Backslashes, newlines
// and other control characters are as good as any (what shows a path on a terminal escapes them). badValue naming
// `field` when it is none.
Result<void> check_relative_path(std::string_view path, std::string_view field);

}  // namespace geres::model
