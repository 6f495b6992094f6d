// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648, section 4) for bytes inside JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace geres {

std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);  // strict: padded, no white space

}  // namespace geres
