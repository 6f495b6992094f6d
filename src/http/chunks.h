// SPDX-License-Identifier: Apache-2.0
// A chunked body (RFC 9112, 7.1), taken apart as it comes:
//
//   body    = *chunk last-chunk *trailer CRLF
//   chunk   = size [ extensions ] CRLF size-bytes CRLF        last-chunk = 1*"0" [ extensions ] CRLF
//   size    = 1*16 hex digits                                 extensions = *( SP / HTAB ) ";" text
//
// Extensions and trailers are checked and dropped, and together may not be larger than the body, because nothing else
// would limit what a sender can make us read. Beast's parser is not used: in 1.81 it asserts when the last chunk of an
// empty body arrives byte by byte, and waits for ever for a carriage return that is missing at the end of a line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace geres::http {

class ChunkDecoder {
 public:
  // Appends to `out` what `bytes` contain of the body, and returns how many of them were consumed; the others are to be
  // given again with more. An error is badRequest and final.
  Result<std::size_t> decode(std::string_view bytes, std::string& out);
  bool ended() const { return state_ == State::ended; }

 private:
  enum class State : char { size, data, data_end, trailers, ended };
  // One step; returns 0 when it needs more bytes.
  Result<std::size_t> step(std::string_view bytes, std::string& out);
  Result<std::size_t> size_line(std::string_view bytes);
  Result<std::size_t> data_end(std::string_view bytes);
  Result<std::size_t> trailer(std::string_view bytes);

  State state_ = State::size;
  std::uint64_t left_ = 0;  // bytes of the current chunk
  std::size_t extension_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
};

}  // namespace geres::http
