// SPDX-License-Identifier: Apache-2.0
// How an answer's head is written, and which part of a file a Range asks for.
#pragma once

#include <string>
#include <string_view>

#include "http/message.h"

namespace geres::http {

enum class Framing { none, length, chunked, untilClose };

// Status line and headers, with the empty line. Header values lose control characters, so that none can add a header.
std::string write_head(const Response& response, Framing framing, std::uint64_t length, bool keep_alive, bool http11);

// Narrows a 200 answer with a file to the single range of bytes that was asked for (RFC 9110, 14.2): 206 or 416.
// Several ranges, other units and malformed ones are ignored, as the RFC allows.
void apply_range(Response& response, std::string_view range);

}  // namespace geres::http
