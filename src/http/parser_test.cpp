// SPDX-License-Identifier: Apache-2.0
// Thousands of damaged heads and chunks: however the bytes are cut into pieces, the outcome must be the same.
#include "http/parser.h"

#include <gtest/gtest.h>

#include "base/uuid.h"
#include "http/chunks.h"

namespace geres::http {
namespace {

struct Outcome {
  unsigned status = 0;  // the status of the refusal; 0: complete; 1: more bytes are needed
  std::string text;     // what was read, to compare
  bool operator==(const Outcome&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << outcome.status << " " << testing::PrintToString(outcome.text);
}

// Reads as a session does, receiving `step` more bytes at a time.
Outcome read(std::string_view bytes, std::size_t step) {
  HeadScanner scanner(2'000, 100);
  RequestHead head;
  std::size_t seen = 0;
  auto found = HeadScanner::Found::more;
  while (found == HeadScanner::Found::more && seen < bytes.size()) {
    seen = std::min(seen + step, bytes.size());
    found = scanner.scan(bytes.substr(0, seen));
  }
  if (found == HeadScanner::Found::more) return {1, ""};
  if (found == HeadScanner::Found::refused) return {scanner.refusal().status, ""};
  head.block = bytes.substr(0, scanner.length());
  if (const auto refusal = parse_head(head)) return {refusal->status, ""};
  Outcome outcome;
  for (const auto& header : head.headers.items())
    outcome.text.append(header.name).append("=").append(header.value).append("\n");
  std::vector<std::string> path;
  Query query;
  if (!decode_target(head.target, path, query)) return {400, "target"};
  for (const auto& segment : path) {
    EXPECT_EQ(segment.find('/'), std::string::npos);
    EXPECT_NE(segment, "..");
    outcome.text += segment + "|";
  }
  if (head.length) return outcome;
  std::size_t done = scanner.length();
  seen = std::max(seen, done);
  ChunkDecoder chunks;
  std::string body;
  while (true) {
    const auto used = chunks.decode(bytes.substr(done, seen - done), body);
    if (!used) return {400, "chunks"};
    done += *used;
    if (chunks.ended()) break;
    if (seen == bytes.size()) return {1, outcome.text};
    seen = std::min(seen + step, bytes.size());
  }
  outcome.text += body + "#" + std::string(bytes.substr(done));
  return outcome;
}

const std::string kHead = "POST /v1/jobs/a%20b?x=1&y=%41 HTTP/1.1\r\nHost: hub:8080\r\nAccept: */*\r\n";
const std::string kRequests[] = {
    kHead + "Content-Length: 5\r\n\r\nhello",
    kHead +
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;name=\"v\"\r\nx\r\n0\r\nTrailer: y\r\n\r\nGET / "
        "HTTP/1.1\r\n",
    kHead + "Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n000\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive, x\r\n\r\n",
};

TEST(Parser, ReadsTheUndamaged) {
  EXPECT_EQ(read(kRequests[1], 1'000).text,
            "Host=hub:8080\nAccept=*/*\nTransfer-Encoding=chunked\nv1|jobs|a b|hellox#GET / HTTP/1.1\r\n");
}

TEST(Parser, GivesOneAnswerHoweverTheBytesAreCut) {
  SeededRandom random(20'261'124);
  const std::string spice = std::string("\r\n\r\n\t :;,=0123456789abcdefXG/%.?#\"chunked") + '\0' + "\x7f\xff";
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = kRequests[random.next() % std::size(kRequests)];
    for (auto changes = random.next() % 4; changes > 0; --changes) {
      const auto at = random.next() % bytes.size();
      const char c = spice[random.next() % spice.size()];
      switch (random.next() % 4) {
        case 0:
          bytes[at] = c;
          break;
        case 1:
          bytes.insert(at, 1, c);
          break;
        case 2:
          bytes.erase(at, 1 + random.next() % 3);
          break;
        default:
          bytes.insert(at, bytes.substr(random.next() % bytes.size(), random.next() % 40));
      }
    }
    const auto whole = read(bytes, bytes.size());
    for (const std::size_t step : {std::size_t(1), std::size_t(2 + random.next() % 9)}) {
      const auto pieces = read(bytes, step);
      ASSERT_EQ(whole, pieces) << "in steps of " << step << ": " << testing::PrintToString(bytes);
    }
  }
}

}  // namespace
}  // namespace geres::http
