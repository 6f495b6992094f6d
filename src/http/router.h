// SPDX-License-Identifier: Apache-2.0
// The table of routes: method and pattern to handler.
//
//   pattern = 1*( "/" segment )      segment = literal | "{name}" (one segment, not empty) | "{name...}" (the rest,
//   last)
//
// A literal beats a "{name}" in the same place, and that beats a "{name...}". HEAD is answered by GET's handler (the
// server drops the body), OPTIONS by the table, an unknown path with 404, an unknown method there with 405 and Allow.
#pragma once

#include <memory>
#include <string>

#include "http/message.h"

namespace geres::http {

// Makes the answer for trouble that this layer finds itself (bad syntax, 404, 405, 408, 413, 414, 417, 431, 500, 501,
// 503): the status is decided, the look is yours. Any server thread; must not throw.
using ErrorFormat = std::function<Response(const Error& error, unsigned status)>;
Response plain_error(const Error& error, unsigned status);  // text/plain

// Wraps every request that could be read, routed or not: authentication, metrics, logs.
using Around = std::function<awaitable<Response>(Request&, const Handler& next)>;

// Is told of the answer to what could not be read as a request, which goes around all of the above; may add to it.
struct Unread {
  std::string_view peer;
  const Headers& headers;  // those that could be read: all or none
  const Error& error;
};
using AroundUnread = std::function<void(const Unread& unread, Response& answer)>;

// How a path must be spelled. As ASP.NET has it: in upper or lower case, and with or without a slash at its end.
enum class Spelling { exact, as_aspnet };

// Built by one thread, then only used, by any. Copies share their routes.
class Router {
 public:
  explicit Router(ErrorFormat format = plain_error);
  // Asserts that the pattern is well formed.
  Router& add(Method method, std::string pattern, Handler handler, Spelling spelling = Spelling::exact);
  Router& around(Around around);  // the last one added is the outermost
  Router& around_unread(AroundUnread around);
  awaitable<Response> handle(Request& request) const { return entry_(request); }
  Response error(const Error& error, unsigned status) const;
  Response unread(const Unread& unread, unsigned status) const;

 private:
  struct Route;
  struct Match;
  struct Table;
  static awaitable<Response> dispatch(const Table& table, Request& request);
  std::shared_ptr<Table> table_;
  Handler entry_;
};

}  // namespace geres::http
