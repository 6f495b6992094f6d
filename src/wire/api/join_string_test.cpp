// SPDX-License-Identifier: Apache-2.0
#include "wire/api/join_string.h"

#include <gtest/gtest.h>

namespace geres::wire {
namespace {

const JoinString kParts{"https://jobs.example.com:8443/ops/", "sha256:ab", "0190", "geres_\xc3\xa9?>"};

TEST(JoinString, ComesBackAsItWas) {
  const auto text = join_string(kParts);
  EXPECT_TRUE(text.starts_with("geresj1.")) << text;
  EXPECT_EQ(text.find_first_of("+/= \n"), std::string::npos) << "it can stand in a URL and on a command line";
  EXPECT_EQ(parse_join_string(text).value(), kParts);
  EXPECT_EQ(parse_join_string(text + "\r\n").value(), kParts) << "as a file holds it";
  auto plain = kParts;
  plain.ca_pin.clear();
  EXPECT_EQ(parse_join_string(join_string(plain)).value(), plain);
}

TEST(JoinString, IsKnownInEveryLengthOrRefused) {
  const auto text = join_string(kParts);
  for (std::size_t length = 0; length < text.size(); ++length) {
    const auto cut = parse_join_string(text.substr(0, length));
    ASSERT_FALSE(cut) << length;
    EXPECT_EQ(cut.error().code, Code::badValue);
    EXPECT_EQ(cut.error().message.find("geres_"), std::string::npos) << "nothing of it is told";
  }
  EXPECT_FALSE(parse_join_string("geresj2." + text.substr(8)));
  EXPECT_FALSE(parse_join_string(text + "="));
  EXPECT_FALSE(parse_join_string(" " + text));
  EXPECT_FALSE(parse_join_string(join_string({"ftp://hub", "", "1", "s"})));
  EXPECT_FALSE(parse_join_string("geresj1." + std::string(5'000, 'A')));
}

}  // namespace
}  // namespace geres::wire
