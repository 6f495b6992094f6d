// SPDX-License-Identifier: Apache-2.0
// What a name of a tenant, package, batch, host or job type may look like. They become paths and headers, so the rule
// is strict: ^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$ without "..".
#pragma once

#include <string_view>

#include "base/error.h"

namespace geres::model {

bool is_name(std::string_view text);

// badValue naming `field` when `text` is no name; `what` is the noun for the message ("tenant", "batch name").
Result<void> check_name(std::string_view text, std::string_view what, std::string_view field);

}  // namespace geres::model
