// SPDX-License-Identifier: Apache-2.0
// Hex, and the few questions we ask of text that came from outside.
#pragma once

#include <string>
#include <string_view>

namespace geres {

int hex_digit(char c);  // -1 if it is none
std::string to_hex(std::string_view bytes);

bool valid_utf8(std::string_view text);
std::string replace_bad_utf8(std::string_view text);  // each bad byte becomes U+FFFD
std::string escape_bad_utf8(std::string_view text);   // each bad byte becomes \xHH
// A line that a program wrote for a terminal, as text: without escape sequences (colours, titles), other control
// characters as spaces, bad bytes as U+FFFD.
std::string plain_line(std::string_view line);
std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max);  // never cuts a character

}  // namespace geres
