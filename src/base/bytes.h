// SPDX-License-Identifier: Apache-2.0
// Hex, and the few questions that we ask of text from outside.
#pragma once

#include <string>
#include <string_view>

namespace geres {

int hex_digit(char c);  // -1 if it is none
std::string to_hex(std::string_view bytes);

bool valid_utf8(std::string_view text);
std::string replace_bad_utf8(std::string_view text);  // each bad byte becomes U+FFFD
std::string escape_bad_utf8(std::string_view text);   // each bad byte becomes \xHH
// A line that a program wrote for a terminal, as plain text: escape sequences (colours, titles) are removed, other
// control characters become spaces, bad bytes U+FFFD.
std::string plain_line(std::string_view line);
std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max);  // never cuts a character

}  // namespace geres
