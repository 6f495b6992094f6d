// SPDX-License-Identifier: Apache-2.0
// From bytes to a request's head. Beast's parser knows the grammar. What it accepts but two readers could understand
// differently (folded headers, several lengths, unknown codings) is refused here, because a proxy in front of us may
// have read it the other way (RFC 9112, 11.2).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace geres::http {

struct Refusal {
  Error error;
  unsigned status = 400;
};

// Finds the end of a head that arrives in pieces, and refuses early what cannot become one.
class HeadScanner {
 public:
  HeadScanner(std::size_t bytes_max, std::size_t headers_max) : bytes_max_(bytes_max), headers_max_(headers_max) {}
  enum class Found { more, head, refused };
  Found scan(std::string_view bytes);  // always all of the head so far
  std::size_t length() const { return length_; }
  const Refusal& refusal() const { return refusal_; }

 private:
  Found refuse(Code code, unsigned status, std::string message);
  Found line(std::string_view line);
  std::size_t bytes_max_;
  std::size_t headers_max_;
  std::size_t headers_ = 0;
  std::size_t seen_ = 0;  // bytes looked at
  std::size_t line_start_ = 0;
  std::size_t length_ = 0;
  Refusal refusal_;
};

struct RequestHead {
  std::string block;  // all views below point into it
  Method method = Method::other;
  std::string_view method_text;
  std::string_view target;
  bool http11 = true;
  Headers headers;
  std::optional<std::uint64_t> length;  // empty: chunked
  bool keep_alive = true;
  bool expects_continue = false;
};

// Parses `head.block`, which HeadScanner found, and fills in the rest.
std::optional<Refusal> parse_head(RequestHead& head);

}  // namespace geres::http
