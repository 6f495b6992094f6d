// SPDX-License-Identifier: Apache-2.0
#include "http/message.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cassert>

#include "base/bytes.h"

namespace geres::http {

namespace {

constexpr std::array<std::string_view, 7> kMethods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; };
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) { return lower(x) == lower(y); });
}

// Empty if an escape is broken or the result is not valid text.
std::optional<std::string> decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  bool plain = true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size() || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0) return std::nullopt;
      out += char(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' && plus_is_space ? ' ' : text[i];
    }
    if (out.back() == '\0') return std::nullopt;
    if (out.back() & 0x80) plain = false;
  }
  if (!plain && !valid_utf8(out)) return std::nullopt;
  return out;
}

Error bad_target(std::string message) {
  return fail(Code::badRequest, std::move(message));
}

Result<void> decode_path(std::string_view text, std::vector<std::string>& path) {
  if (!text.starts_with('/')) return bad_target("the path does not start with '/'");
  text.remove_prefix(1);
  if (text.empty()) return {};
  while (true) {
    const auto end = std::min(text.find('/'), text.size());
    auto segment = decode(text.substr(0, end), false);
    if (!segment) return bad_target("the path has a bad escape or a character that is none");
    if (*segment == "." || *segment == "..") return bad_target("the path has a segment '" + *segment + "'");
    if (segment->find('/') != std::string::npos) return bad_target("the path has an escaped '/' in a segment");
    path.push_back(std::move(*segment));
    if (end == text.size()) return {};
    text.remove_prefix(end + 1);
  }
}

Result<void> decode_query(std::string_view text, Query& query) {
  while (!text.empty()) {
    const auto end = std::min(text.find('&'), text.size());
    const auto item = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (item.empty()) continue;
    const auto equals = std::min(item.find('='), item.size());
    auto name = decode(item.substr(0, equals), true);
    auto value = decode(item.substr(std::min(equals + 1, item.size())), true);
    if (!name || !value) return bad_target("the query has a bad escape or a character that is none");
    query.items.emplace_back(std::move(*name), std::move(*value));
  }
  return {};
}

}  // namespace

std::string_view method_name(Method method) {
  return method == Method::other ? std::string_view() : kMethods[std::size_t(method)];
}

Method parse_method(std::string_view name) {
  const auto* found = std::find(kMethods.begin(), kMethods.end(), name);
  return found == kMethods.end() ? Method::other : Method(found - kMethods.begin());
}

std::optional<std::string_view> Headers::get(std::string_view name) const {
  for (const auto& item : items_)
    if (same_name(item.name, name)) return item.value;
  return std::nullopt;
}

std::size_t Headers::count(std::string_view name) const {
  return std::size_t(
      std::count_if(items_.begin(), items_.end(), [&](auto& item) { return same_name(item.name, name); }));
}

std::optional<std::string_view> Query::get(std::string_view name) const {
  for (const auto& [key, value] : items)
    if (key == name) return value;
  return std::nullopt;
}

std::vector<std::string_view> Query::all(std::string_view name) const {
  std::vector<std::string_view> found;
  for (const auto& [key, value] : items)
    if (key == name) found.push_back(value);
  return found;
}

const std::string& Request::capture(std::string_view name) const {
  for (const auto& [key, value] : captures)
    if (key == name) return value;
  assert(!"the route has no such capture");
  static const std::string none;
  return none;
}

Response text_response(unsigned status, std::string_view content_type, std::string body) {
  Response response;
  response.status = status;
  response.headers.emplace_back("Content-Type", content_type);
  response.body = std::move(body);
  return response;
}

std::string_view reason_phrase(unsigned status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Unknown";
  }
}

Result<void> decode_target(std::string_view target, std::vector<std::string>& path, Query& query) {
  // Such a byte would reach answers and logs, whose readers expect text (RFC 3986, 2).
  if (std::any_of(target.begin(), target.end(), [](char c) { return (c & 0x80) != 0; }))
    return bad_target("the target has a character that must be escaped with '%'");
  // "http://host/path" means the same as "/path" (RFC 9112, 3.2.2).
  for (const std::string_view scheme : {"http://", "https://"})
    if (target.starts_with(scheme)) {
      target.remove_prefix(scheme.size());
      const auto slash = std::min(target.find_first_of("/?"), target.size());
      target.remove_prefix(slash);
      if (target.empty()) target = "/";
    }
  if (target.find('#') != std::string_view::npos) return bad_target("the target has a fragment");
  const auto mark = std::min(target.find('?'), target.size());
  if (auto done = decode_path(target.substr(0, mark), path); !done) return done;
  return decode_query(target.substr(std::min(mark + 1, target.size())), query);
}

}  // namespace geres::http
