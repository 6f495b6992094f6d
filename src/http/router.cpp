// SPDX-License-Identifier: Apache-2.0
#include "http/router.h"

#include <algorithm>
#include <cassert>

namespace geres::http {

namespace {

enum class Kind { literal, one, rest };  // in order of precedence

struct Segment {
  Kind kind = Kind::literal;
  std::string text;  // the literal, or the capture's name
};

std::vector<Segment> parse_pattern(std::string_view pattern) {
  assert(pattern.starts_with('/'));
  std::vector<Segment> segments;
  pattern.remove_prefix(1);
  while (!pattern.empty()) {
    const auto end = std::min(pattern.find('/'), pattern.size());
    std::string_view text = pattern.substr(0, end);
    pattern.remove_prefix(std::min(end + 1, pattern.size()));
    Segment segment;
    if (text.starts_with('{') && text.ends_with('}')) {
      text = text.substr(1, text.size() - 2);
      segment.kind = text.ends_with("...") ? Kind::rest : Kind::one;
      if (segment.kind == Kind::rest) text.remove_suffix(3);
    }
    assert(!text.empty());
    assert(segment.kind != Kind::rest || pattern.empty());
    segment.text = text;
    segments.push_back(std::move(segment));
  }
  return segments;
}

std::string join(const std::vector<std::string>& path, std::size_t from) {
  std::string text;
  for (std::size_t i = from; i < path.size(); ++i) (i > from ? text += '/' : text) += path[i];
  return text;
}

bool same_in_any_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

struct Router::Route {
  Method method;
  std::string pattern;
  std::vector<Segment> segments;
  Handler handler;
  Spelling spelling;

  bool fits(const std::vector<std::string>& path) const {
    const bool exact = spelling == Spelling::exact;
    const std::size_t length = path.size() - (!exact && path.size() > 1 && path.back().empty() ? 1 : 0);
    for (std::size_t i = 0; i < segments.size(); ++i) {
      if (i >= length) return false;
      switch (segments[i].kind) {
        case Kind::literal:
          if (exact ? segments[i].text != path[i] : !same_in_any_case(segments[i].text, path[i])) return false;
          break;
        case Kind::one:
          if (path[i].empty()) return false;
          break;
        case Kind::rest:
          return true;
      }
    }
    return length == segments.size();
  }

  // The first segment whose kinds differ decides.
  bool before(const Route& other) const {
    return std::lexicographical_compare(segments.begin(), segments.end(), other.segments.begin(), other.segments.end(),
                                        [](const Segment& a, const Segment& b) { return a.kind < b.kind; });
  }

  void capture(Request& request) const {
    request.route = pattern;
    for (std::size_t i = 0; i < segments.size(); ++i) {
      if (segments[i].kind == Kind::one) request.captures.emplace_back(segments[i].text, request.path[i]);
      if (segments[i].kind == Kind::rest) request.captures.emplace_back(segments[i].text, join(request.path, i));
    }
  }
};

struct Router::Table {
  ErrorFormat format;
  AroundUnread around_unread;
  std::vector<std::unique_ptr<const Route>> routes;  // in order of precedence: the first one that fits is taken

  Match find(const Request& request) const;
  Response no_route(const Request& request, const Match& match) const;
};

struct Router::Match {
  const Route* route = nullptr;
  std::vector<Method> allowed;  // methods that this path has, filled only if no route fits
};

Response plain_error(const Error& error, unsigned status) {
  return text_response(status, "text/plain; charset=utf-8", error.message + "\n");
}

Router::Router(ErrorFormat format) : table_(std::make_shared<Table>()) {
  table_->format = std::move(format);
  entry_ = [table = table_](Request& request) { return dispatch(*table, request); };
}

Router& Router::add(Method method, std::string pattern, Handler handler, Spelling spelling) {
  auto route = std::make_unique<Route>();
  route->method = method;
  route->segments = parse_pattern(pattern);
  route->pattern = std::move(pattern);
  route->handler = std::move(handler);
  route->spelling = spelling;
  auto& routes = table_->routes;
  const auto place = std::find_if(routes.begin(), routes.end(), [&](auto& other) { return route->before(*other); });
  routes.insert(place, std::move(route));
  return *this;
}

Router& Router::around(Around around) {
  Handler inner = std::move(entry_);
  entry_ = [around = std::move(around), inner = std::move(inner)](Request& request) { return around(request, inner); };
  return *this;
}

Router& Router::around_unread(AroundUnread around) {
  table_->around_unread = std::move(around);
  return *this;
}

Router::Match Router::Table::find(const Request& request) const {
  Match match;
  const bool head = request.method == Method::head;
  for (const auto& route : routes) {
    if (!route->fits(request.path)) continue;
    if (route->method == request.method) return {route.get(), {}};
    if (head && route->method == Method::get && match.route == nullptr) match.route = route.get();
    match.allowed.push_back(route->method);
  }
  return match;
}

Response Router::Table::no_route(const Request& request, const Match& match) const {
  if (match.allowed.empty())
    return format(fail(Code::notFound, "there is nothing at '" + std::string(request.target) + "'"), 404);
  std::string allow = "OPTIONS";
  for (const Method method : match.allowed) {
    const auto add = [&](std::string_view name) {
      if (allow.find(name) == std::string::npos) allow.append(", ").append(name);
    };
    add(method_name(method));
    if (method == Method::get) add("HEAD");
  }
  Response response;
  if (request.method == Method::options)
    response.status = 204;
  else
    response = format(
        fail(Code::methodNotAllowed, std::string(request.method_text) + " is not done here", {}, "one of " + allow),
        405);
  response.headers.emplace_back("Allow", allow);
  return response;
}

awaitable<Response> Router::dispatch(const Table& table, Request& request) {
  const Match match = table.find(request);
  if (match.route == nullptr) co_return table.no_route(request, match);
  match.route->capture(request);
  co_return co_await match.route->handler(request);
}

Response Router::error(const Error& error, unsigned status) const {
  return table_->format(error, status);
}

Response Router::unread(const Unread& unread, unsigned status) const {
  Response answer = error(unread.error, status);
  if (table_->around_unread) table_->around_unread(unread, answer);
  return answer;
}

}  // namespace geres::http
