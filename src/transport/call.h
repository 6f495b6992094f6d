// SPDX-License-Identifier: Apache-2.0
// One HTTP call and its answer, as data. Knows URLs and headers, but no jobs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/file.h"

struct sockaddr;

namespace geres::transport {

using Query = std::vector<std::pair<std::string, std::string>>;

// What a sink says to a piece: go on, hand over the same piece again after Loop::resume, or end the call here (which
// then counts as answered).
enum class Take { more, later, enough };

struct Call {
  std::string method = "GET";
  std::string path;   // "/v1/jobs", segments escaped
  std::string other;  // a whole URL instead of Options::hub and path; not the hub's own answers then
  Query query;
  std::optional<std::string> body;
  std::string content_type = "application/json";  // empty: `headers` has it
  std::filesystem::path upload;                   // instead of `body`: streamed from this file
  std::shared_ptr<const Fd> upload_fd;            // … or `upload_bytes` from the start of this one
  std::int64_t upload_bytes = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string token;               // sent as bearer if not empty
  bool repeatable = false;         // a POST or PATCH that may be sent twice; GET, HEAD, PUT and DELETE always may
  bool lasting = false;            // a stream or a long wait: does not count among the connections that are limited
  std::optional<Millis> patience;  // instead of Options::patience
  Millis time_max = 0;             // 0: Options::answer_time_max; with an upload or a sink: no limit but silence
  Millis silence_max = 0;          // not a byte for so long ends the call; 0: no limit, with an upload 60 s
  bool status_only = false;        // a stranger's words are not kept: of the body, whatever there is, nothing is told
  // Asked before each connection, with the address that it would be made to: why it is not made; empty: it is. Must not
  // throw.
  std::function<std::string(const sockaddr* to)> refuse;
  // Takes the body of a 2xx answer in pieces, on the loop's thread. Must not throw.
  std::function<Take(std::string_view piece)> sink;
  // The pieces taken so far do not count: the call is made again from the start. Without it, a call whose sink has been
  // given a piece is not repeated.
  std::function<void()> restart;

  bool uploads() const { return !upload.empty() || upload_fd; }
};

struct Reply {
  unsigned status = 0;
  std::string body;                            // empty with a sink
  std::map<std::string, std::string> headers;  // names in lower case
};

// What a header says as a whole number; 0: it is not there, or says something else.
std::int64_t header_number(const Reply& reply, const std::string& name);

std::string escaped(std::string_view segment);  // for one segment of a path, or a query value

}  // namespace geres::transport
