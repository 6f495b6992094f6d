// SPDX-License-Identifier: Apache-2.0
// What a handler sees of HTTP: a request that has been checked and decoded, and a response as plain data.
// Everything here lives on the request's own thread; a Request and all its views live until its Response (with its
// stream) has been sent.
#pragma once

#include <any>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "http/wait.h"

namespace geres::tls {
struct Certificate;
}

namespace geres::http {

enum class Method { get, head, post, put, patch, delete_, options, other };
std::string_view method_name(Method method);  // "GET"; "" for other
Method parse_method(std::string_view name);   // case matters

struct Header {
  std::string_view name;
  std::string_view value;  // without white space around it
};

// In the order sent.
class Headers {
 public:
  void add(Header header) { items_.push_back(header); }
  void clear() { items_.clear(); }
  std::optional<std::string_view> get(std::string_view name) const;  // the first of that name, in any case
  std::size_t count(std::string_view name) const;
  const std::vector<Header>& items() const { return items_; }

 private:
  std::vector<Header> items_;
};

// Decoded ("+" is a space), in the order sent, duplicates kept.
struct Query {
  std::vector<std::pair<std::string, std::string>> items;
  std::optional<std::string_view> get(std::string_view name) const;  // the first of that name
  std::vector<std::string_view> all(std::string_view name) const;
};

// The request's body, which the handler reads or ignores. An error is final and closes the connection after the answer:
// tooLarge (over `limit`, known from Content-Length before a byte is read), timeout (no progress), badRequest (broken
// chunks, or the client went away in the middle).
class Body {
 public:
  virtual std::optional<std::uint64_t> length() const = 0;  // Content-Length; 0 if there is no body; empty if chunked
  virtual awaitable<Result<std::string>> read_all(std::uint64_t limit) = 0;
  // The next piece (up to 256 KiB), empty at the end; `limit` counts all pieces so far.
  virtual awaitable<Result<std::string>> read_some(std::uint64_t limit) = 0;

 protected:
  ~Body() = default;
};

struct Request {
  Request(Body& body, Cancellation& cancellation) : body(body), cancellation(cancellation) {}

  Method method = Method::other;
  std::string_view method_text;
  std::string_view target;  // as sent
  std::vector<std::string>
      path;  // decoded: valid UTF-8, no "/", NUL, "." or ".." in a part; "/a/" ends with an empty part
  Query query;
  Headers headers;
  std::string_view peer;                     // "192.0.2.1:41234"
  bool tls = false;                          // nobody on the way can read it
  const tls::Certificate* client = nullptr;  // that it has shown, of an authority that the server trusts; null: none
  Body& body;
  // Pass it to waits that should end when the client goes away or the server stops. A client that shuts down its
  // sending side counts as gone.
  Cancellation& cancellation;

  std::string_view route;                                          // the pattern that matched; empty if none did
  std::vector<std::pair<std::string_view, std::string>> captures;  // filled by the router
  const std::string& capture(std::string_view name) const;         // must be in the route's pattern
  std::any attachment;  // for wrappers (Router::around): the caller's identity
  std::string id;       // set by a wrapper too: names the call in its answer and in the log
};

class WebSocket;

class StreamWriter {
 public:
  // Sends one chunk at once (empty: nothing). False: the client has gone or stalled, so the stream should return.
  virtual awaitable<bool> write(std::string_view bytes) = 0;

 protected:
  ~StreamWriter() = default;
};

// Part of a file, sent without being copied into memory.
struct FileBody {
  std::shared_ptr<Fd> fd;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

struct Response {
  unsigned status = 200;
  std::vector<std::pair<std::string, std::string>>
      headers;  // all but Content-Length, Date, Connection, Transfer-Encoding
  std::string body;
  // Instead of `body`. With status 200 a request for a single Range is answered with 206 (or 416).
  std::optional<FileBody> file;
  // Instead of `body`: sends chunks while it runs. Its waits should use the request's cancellation.
  std::function<awaitable<void>(StreamWriter&)> stream;
  // Instead of everything else, if wants_websocket(request): the connection becomes a WebSocket (websocket.h).
  std::function<awaitable<void>(WebSocket&)> websocket;
  std::shared_ptr<const void> held;  // released when the answer has been sent or has failed
  bool close = false;                // end the connection after this answer
};

Response text_response(unsigned status, std::string_view content_type, std::string body);
std::string_view reason_phrase(unsigned status);

using Handler = std::function<awaitable<Response>(Request&)>;

// Splits "/a%20b?c=d" into path and query. An error is badRequest: a byte that is not ASCII, a bad escape, NUL or bad
// UTF-8 after decoding, a segment that is "." or ".." or contains an escaped "/", a target that does not start with
// "/".
Result<void> decode_target(std::string_view target, std::vector<std::string>& path, Query& query);

}  // namespace geres::http
