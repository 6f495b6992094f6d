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

// Says to a hub that whoever calls follows its links to bytes that lie elsewhere; see Call::follow.
inline constexpr const char* kLinksHeader = "Geres-Links";
inline constexpr const char* kFollowsLinks = "follow";

using Query = std::vector<std::pair<std::string, std::string>>;

// A sink's answer to a piece: go on, offer the same piece again after Loop::resume, or end the call here (which then
// counts as answered).
enum class Take { more, later, enough };

struct Reply;

struct Call {
  std::string method = "GET";
  std::string path;   // "/v1/jobs", segments escaped
  std::string other;  // a whole URL instead of Options::hub and path, which then need not be the hub's
  bool elsewhere =
      false;  // `other` is a link to a store of files: trusted by the system's authorities as well, not by pin
  Query query;
  std::optional<std::string> body;
  std::string content_type = "application/json";  // empty: `headers` contains it
  std::filesystem::path upload;                   // instead of `body`: sent from this file
  std::shared_ptr<const Fd> upload_fd;            // … or `upload_bytes` from `upload_from` on of this one
  std::int64_t upload_bytes = 0;
  std::int64_t upload_from = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string token;               // sent as bearer if not empty
  bool repeatable = false;         // a POST or PATCH that may be sent twice; GET, HEAD, PUT and DELETE always may
  bool lasting = false;            // a stream or a long wait, which does not count toward the limit on connections
  std::optional<Millis> patience;  // instead of Options::patience
  Millis time_max = 0;             // 0: Options::answer_time_max; with an upload or a sink: no limit but silence
  Millis silence_max = 0;          // the call ends after so long without a byte; 0: no limit, but 60 s with an upload
  // A download that the hub may answer by a link (307) to where the bytes are. The link is called without the token and
  // the headers; if that fails before the sink got anything, the hub is asked for the bytes themselves.
  bool follow = false;
  bool status_only = false;  // for calls to strangers: nothing of the answer's body is kept or shown
  // Called before each connection with the address about to be connected to. Returns why the connection must not be
  // made; empty: it may. Must not throw.
  std::function<std::string(const sockaddr* to)> refuse;
  // Called with status and headers before the sink's first piece; false ends the call, as Take::enough would. Must not
  // throw.
  std::function<bool(const Reply& so_far)> head;
  // Takes the body of a 2xx answer piece by piece, on the loop's thread. Must not throw.
  std::function<Take(std::string_view piece)> sink;
  // The pieces so far are void, because the call is made again from the start. Without this function, a call whose sink
  // has received a piece is not repeated.
  std::function<void()> restart;

  bool uploads() const { return !upload.empty() || upload_fd; }
};

struct Reply {
  unsigned status = 0;
  std::string body;                            // empty with a sink
  std::map<std::string, std::string> headers;  // names in lower case
};

// A header as a whole number; 0 if it is absent or not a number.
std::int64_t header_number(const Reply& reply, const std::string& name);

// A time as HTTP writes it ("Sun, 06 Nov 1994 08:49:37 GMT"); nullopt if it is none.
std::optional<Millis> http_time(const std::string& text);

std::string escaped(std::string_view segment);  // for one segment of a path, or for a value of a query

}  // namespace geres::transport
