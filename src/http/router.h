// SPDX-License-Identifier: Apache-2.0
// The table of routes: method and pattern to handler.
//
//   pattern = 1*( "/" segment )      segment = literal | "{name}" (one segment, not empty) | "{name...}" (the rest,
//   last)
//
// A literal beats "{name}" in the same place, and "{name}" beats "{name...}". HEAD is answered by GET's handler (the
// server drops the body), OPTIONS from the table, an unknown path with 404, a method that the path lacks with 405 and
// Allow.
#pragma once

#include <memory>
#include <string>

#include "http/message.h"

namespace geres::http {

// Makes the answer for errors that this layer finds itself (bad syntax, 404, 405, 408, 413, 414, 417, 431, 500, 501,
// 503). The status is given, the rest is free. Any server thread; must not throw.
using ErrorFormat = std::function<Response(const Error& error, unsigned status)>;
Response plain_error(const Error& error, unsigned status);  // text/plain

// Wraps every request that could be read, whether a route fits or not: authentication, metrics, logs.
using Around = std::function<awaitable<Response>(Request&, const Handler& next)>;

// Called with the answer to something that could not be read as a request and so never reaches an Around. May add to
// it.
struct Unread {
  std::string_view peer;
  const Headers& headers;  // those that could be read: all or none
  const Error& error;
};
using AroundUnread = std::function<void(const Unread& unread, Response& answer)>;

// How a path must be spelled. ASP.NET accepts either case, and a slash at the end or none.
enum class Spelling { exact, as_aspnet };

// Built by one thread, then used unchanged by any. Copies share their routes.
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
