// SPDX-License-Identifier: Apache-2.0
// Every code that a caller can meet, with its HTTP status, its title, and what to do about it, in one table.
// docs/errors.md has the same for people, and a test compares the two.
#pragma once

#include <span>
#include <string_view>

#include "http/message.h"

namespace geres::hub::api {

struct ProblemKind {
  Code code;
  unsigned status;
  // Where the error names a member of the body, because something absent there is bad input and not a 404.
  unsigned status_in_body;
  std::string_view title;
  std::string_view hint;
};

std::span<const ProblemKind> problem_table();  // in the order of Code
const ProblemKind& problem_kind(Code code);
unsigned status_of(const Error& error);

// RFC 9457: {"type": "/errors#code", "title", "status", "code", "detail", "field"?, "hint"} and, where there is
// something to choose from, "known".
http::Response problem(const Error& error);
http::Response problem_with_status(const Error& error, unsigned status);
http::Response problem_with_known(const Error& error, std::span<const std::string> known);

}  // namespace geres::hub::api
