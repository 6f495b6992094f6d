// SPDX-License-Identifier: Apache-2.0
// Server-sent events, whole and in pieces.
#include "transport/sse.h"

#include <gtest/gtest.h>

#include <vector>

namespace geres::transport {
namespace {

std::vector<std::string> frames(SseParser& parser, const std::string& text, std::size_t piece) {
  std::vector<std::string> told;
  for (std::size_t at = 0; at < text.size(); at += piece)
    EXPECT_TRUE(parser.feed(std::string_view(text).substr(at, piece), [&](const Frame& frame) {
      told.push_back(frame.id + "|" + frame.type + "|" + (frame.has_data ? frame.data : "-"));
    }));
  return told;
}

TEST(SseTest, TakesEventsApartHoweverTheyArePieced) {
  const std::string text =
      "retry: 1000\nid: a-1\n\n"
      ": still here\n\n"
      "id: a-2\nevent: geres.job.finished\ndata: {\"x\":1}\n\n"
      "data: one\r\ndata: two\r\n\r\n"
      "id: a-3\rdata\r\r"
      "event: only a name\n\n"
      "id: a-4\ndata:  two blanks\n\n"
      "id: never ended";
  const std::vector<std::string> expected = {"a-1|message|-", "a-2|geres.job.finished|{\"x\":1}",
                                             "a-2|message|one\ntwo", "a-3|message|", "a-4|message| two blanks"};
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    SseParser parser;
    EXPECT_EQ(frames(parser, text, piece), expected) << "in pieces of " << piece;
  }
}

TEST(SseTest, ANewConnectionDropsWhatWasHalfSaid) {
  SseParser parser;
  frames(parser, "id: a-1\n\nevent: x\ndata: half", 100);
  parser.reset();
  EXPECT_EQ(frames(parser, "data: whole\n\n", 100), std::vector<std::string>{"a-1|message|whole"});
}

TEST(SseTest, RefusesWhatNeverEnds) {
  SseParser parser;
  const std::string much(1 << 20, 'x');
  bool good = true;
  for (int i = 0; i < 20 && good; ++i) good = parser.feed(much, [](const Frame&) {});
  EXPECT_FALSE(good);
}

}  // namespace
}  // namespace geres::transport
