// SPDX-License-Identifier: Apache-2.0
// A request's head, target and chunked body, above the socket. Promises: one answer however the bytes are cut, and what
// is taken, written out plainly, reads the same: two readers in a row cannot be made to differ.
#include <optional>
#include <string>

#include "base/bytes.h"
#include "http/chunks.h"
#include "http/parser.h"
#include "target.h"

using namespace geres;
using fuzz::must;

namespace {

struct Outcome {
  unsigned status = 0;  // refused with it; 0: read whole; 1: more is needed
  std::string method, target, body, rest;
  std::vector<std::pair<std::string, std::string>> headers;
  bool http11 = true, chunked = false;
  bool operator==(const Outcome&) const = default;
};

void read_body(std::string_view bytes, std::size_t step, Outcome& outcome) {
  http::ChunkDecoder chunks;
  std::size_t done = 0, seen = 0;
  while (!chunks.ended()) {
    if (seen == bytes.size()) {
      outcome.status = 1;
      return;
    }
    seen = std::min(seen + step, bytes.size());
    const auto used = chunks.decode(bytes.substr(done, seen - done), outcome.body);
    if (!used) {
      outcome = {.status = 400};
      return;
    }
    must(*used <= seen - done, "no more is used than there is");
    done += *used;
  }
  outcome.rest = bytes.substr(done);
}

Outcome read(std::string_view bytes, std::size_t step) {
  http::HeadScanner scanner(2'000, 50);
  std::size_t seen = 0;
  auto found = http::HeadScanner::Found::more;
  while (found == http::HeadScanner::Found::more && seen < bytes.size()) {
    seen = std::min(seen + step, bytes.size());
    found = scanner.scan(bytes.substr(0, seen));
  }
  if (found == http::HeadScanner::Found::more) return {.status = 1};
  if (found == http::HeadScanner::Found::refused) return {.status = scanner.refusal().status};
  http::RequestHead head;
  head.block = bytes.substr(0, scanner.length());
  if (const auto refusal = http::parse_head(head)) {
    must(refusal->status >= 400 && !refusal->error.message.empty(), "a refusal says why");
    return {.status = refusal->status};
  }
  Outcome outcome{.method = std::string(head.method_text), .target = std::string(head.target)};
  outcome.http11 = head.http11;
  outcome.chunked = !head.length;
  for (const auto& header : head.headers.items()) {
    must(!header.name.empty() && header.name.find_first_of(" \t\r\n:") == std::string_view::npos, "names are tokens");
    must(header.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos, "values are one line");
    outcome.headers.emplace_back(header.name, header.value);
  }
  std::vector<std::string> path;
  http::Query query;
  if (!http::decode_target(head.target, path, query)) return {.status = 400};
  must(valid_utf8(outcome.target), "a target is text");
  for (const auto& segment : path) {
    must(segment != "." && segment != ".." && segment.find_first_of(std::string_view("/\0", 2)) == std::string::npos,
         "a path stays where it is", segment);
    must(valid_utf8(segment), "a path is text");
  }
  for (const auto& [name, value] : query.items) must(valid_utf8(name) && valid_utf8(value), "a query is text");
  const auto rest = bytes.substr(scanner.length());
  if (!head.length)
    read_body(rest, step, outcome);
  else
    outcome.rest = rest;
  return outcome;
}

std::string write(const Outcome& outcome) {
  std::string text = outcome.method + " " + outcome.target + (outcome.http11 ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n");
  for (const auto& [name, value] : outcome.headers) text.append(name).append(": ").append(value).append("\r\n");
  text += "\r\n";
  if (!outcome.chunked) return text + outcome.rest;
  char size[32];
  std::snprintf(size, sizeof size, "%zx\r\n", outcome.body.size());
  if (!outcome.body.empty()) text += size + outcome.body + "\r\n";
  return text + "0\r\n\r\n" + outcome.rest;
}

}  // namespace

GERES_FUZZ_TARGET(http_request) {
  const auto whole = read(bytes, bytes.size());
  for (const std::size_t step : {1, 7}) must(read(bytes, step) == whole, "one answer however the bytes are cut");
  if (whole.status != 0) return;
  const std::string again = write(whole);
  if (again.size() > 1'900) return;  // the limit of the head may be passed by the spaces that writing adds
  must(read(again, again.size()) == whole, "what is taken reads the same when written", again);
}
