// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648) for bytes inside JSON (section 4) and in tokens (section 5).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace geres {

std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);  // strict: padded, no white space
// Strict: letters of URLs, no padding, and of all texts for the same bytes only the one that an encoder makes.
std::optional<std::string> from_base64url(std::string_view text);

}  // namespace geres
