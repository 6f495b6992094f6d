// SPDX-License-Identifier: Apache-2.0
#include "http/answer.h"

#include <algorithm>
#include <charconv>
#include <ctime>

namespace geres::http {

namespace {

// Formatted once per second and thread.
const std::string& date_now() {
  thread_local std::time_t at = 0;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now == at) return text;
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char buffer[64];
  text.assign(buffer, std::strftime(buffer, sizeof buffer, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts));
  at = now;
  return text;
}

void append_clean(std::string& out, std::string_view text) {
  const auto start = out.size();
  out += text;
  std::replace_if(
      out.begin() + std::ptrdiff_t(start), out.end(),
      [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 127; }, ' ');
}

void append_number(std::string& out, std::uint64_t number) {
  char digits[20];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, number);
  out.append(digits, end);
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Range {
  std::uint64_t first;
  std::uint64_t last;
};

// Empty: not a range that we understand. first > last: none of its bytes exist.
std::optional<Range> parse_range(std::string_view text, std::uint64_t size) {
  if (!text.starts_with("bytes=")) return std::nullopt;
  text.remove_prefix(6);
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = number(text.substr(0, dash));
  const auto last = number(text.substr(dash + 1));
  const bool open = dash + 1 == text.size();
  if (dash == 0) {
    if (!last) return std::nullopt;
    return *last == 0 || size == 0 ? Range{1, 0} : Range{size - std::min(*last, size), size - 1};
  }
  if (!first || (!last && !open) || (last && *last < *first)) return std::nullopt;
  if (*first >= size) return Range{1, 0};
  return Range{*first, open ? size - 1 : std::min(*last, size - 1)};
}

}  // namespace

std::string write_head(const Response& response, Framing framing, std::uint64_t length, bool keep_alive, bool http11) {
  std::string out;
  out.reserve(320 + (framing == Framing::length ? response.body.size() : 0));
  out += "HTTP/1.1 ";
  append_number(out, response.status);
  out += ' ';
  out += reason_phrase(response.status);
  out += "\r\n";
  for (const auto& [name, value] : response.headers) {
    append_clean(out, name);
    out += ": ";
    append_clean(out, value);
    out += "\r\n";
  }
  out += date_now();
  if (framing == Framing::length) {
    out += "Content-Length: ";
    append_number(out, length);
    out += "\r\n";
  } else if (framing == Framing::chunked) {
    out += "Transfer-Encoding: chunked\r\n";
  }
  if (!keep_alive)
    out += "Connection: close\r\n";
  else if (!http11)
    out += "Connection: keep-alive\r\n";
  out += "\r\n";
  return out;
}

void apply_range(Response& response, std::string_view text) {
  if (response.status != 200 || !response.file) return;
  FileBody& file = *response.file;
  const std::uint64_t size = file.length;
  const auto range = parse_range(text, size);
  if (!range) return;
  if (range->first > range->last) {
    response.status = 416;
    response.file.reset();
    response.headers.emplace_back("Content-Range", "bytes */" + std::to_string(size));
    return;
  }
  response.status = 206;
  file.offset += range->first;
  file.length = range->last - range->first + 1;
  response.headers.emplace_back("Content-Range", "bytes " + std::to_string(range->first) + "-" +
                                                     std::to_string(range->last) + "/" + std::to_string(size));
}

}  // namespace geres::http
