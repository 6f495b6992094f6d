// SPDX-License-Identifier: Apache-2.0
// Sessions and one-time codes over time.
#include "hub/api/sessions.h"

#include <gtest/gtest.h>

#include "identity/verifier.h"

namespace geres::hub::api {
namespace {

constexpr Millis kStart = 1'700'000'000'000, kHour = 3'600'000;

class SessionsTest : public testing::Test {
 protected:
  const Identity& token(const std::string& name, std::optional<Millis> expires = {}) {
    model::Token made;
    made.id = {1, std::hash<std::string>()(name)};
    made.name = name;
    made.sha256 = name;
    made.roles = {model::Role::viewer};
    made.expires = expires;
    access.put_token(made);
    held.push_back(access.find(made.id, kStart));
    return *held.back();
  }

  Access access;
  Sessions sessions{access};
  std::vector<std::shared_ptr<const Identity>> held;
};

TEST_F(SessionsTest, EndsWhenNobodyUsesItForTwelveHours) {
  const auto opened = sessions.open(token("a"), kStart);
  EXPECT_EQ(*opened.who->session_until, kStart + 12 * kHour);
  EXPECT_TRUE(sessions.find(opened.secret, kStart + 11 * kHour));
  EXPECT_EQ(*opened.who->session_until, kStart + 23 * kHour);
  EXPECT_TRUE(access.current(*opened.who, kStart + 23 * kHour - 1));
  EXPECT_FALSE(access.current(*opened.who, kStart + 23 * kHour)) << "streams of it end, too";
  EXPECT_FALSE(sessions.find(opened.secret, kStart + 23 * kHour));
  EXPECT_FALSE(sessions.find(opened.secret, kStart + 12 * kHour)) << "it is gone";
}

TEST_F(SessionsTest, OfAnIdentityProviderEndsAfterAnHourAndAfterEight) {
  Identity ann{Identity::Kind::token, "corp:ann", {model::Role::viewer}, {"acme"}, kStart + identity::kSignedInMax};
  ann.provided = std::make_shared<const identity::Caller>();
  EXPECT_EQ(*sessions.open(ann, kStart).who->session_until, kStart + kHour);
  EXPECT_EQ(*sessions.open(ann, kStart + 7 * kHour + 1).who->session_until, kStart + 8 * kHour);
}

TEST_F(SessionsTest, EndsAfterSevenDaysHoweverMuchItIsUsed) {
  const auto opened = sessions.open(token("a"), kStart);
  Millis at = kStart;
  for (; at < kStart + 7 * 24 * kHour; at += 6 * kHour) EXPECT_TRUE(sessions.find(opened.secret, at)) << at - kStart;
  EXPECT_FALSE(sessions.find(opened.secret, at));
}

TEST_F(SessionsTest, EndsWithItsToken) {
  const auto brief = sessions.open(token("brief", kStart + kHour), kStart);
  EXPECT_EQ(*brief.who->session_until, kStart + kHour);
  EXPECT_FALSE(sessions.find(brief.secret, kStart + kHour));
  const auto& revoked = token("revoked");
  const auto opened = sessions.open(revoked, kStart);
  access.remove_token(revoked.id);
  EXPECT_FALSE(access.current(*opened.who, kStart));
  EXPECT_FALSE(sessions.find(opened.secret, kStart));
  EXPECT_EQ(sessions.count(kStart + kHour), 0u);
}

TEST_F(SessionsTest, EndsAloneWhenItIsClosed) {
  const auto& who = token("a");
  const auto first = sessions.open(who, kStart), second = sessions.open(who, kStart);
  EXPECT_NE(first.secret, second.secret);
  EXPECT_EQ(first.secret.size(), 64u);
  sessions.close(*first.who);
  EXPECT_FALSE(sessions.find(first.secret, kStart));
  EXPECT_FALSE(access.current(*first.who, kStart));
  EXPECT_TRUE(sessions.find(second.secret, kStart));
}

TEST_F(SessionsTest, OfOneTokenAreBounded) {
  const auto& who = token("a");
  const auto other = sessions.open(token("b"), kStart);
  const auto first = sessions.open(who, kStart);
  const auto second = sessions.open(who, kStart);
  sessions.find(first.secret, kStart + 1);
  for (std::size_t i = 2; i <= Sessions::kOfOneTokenMax; ++i) sessions.open(who, kStart + 1 + Millis(i));
  EXPECT_FALSE(sessions.find(second.secret, kStart + 200)) << "the one that was used least lately";
  EXPECT_FALSE(access.current(*second.who, kStart + 200));
  EXPECT_TRUE(sessions.find(first.secret, kStart + 200));
  EXPECT_TRUE(sessions.find(other.secret, kStart + 200));
  EXPECT_EQ(sessions.count(kStart + 200), Sessions::kOfOneTokenMax + 1);
}

TEST_F(SessionsTest, NothingElseOpensOne) {
  sessions.open(token("a"), kStart);
  for (const std::string wrong : {std::string(), std::string("a"), std::string(64, '0'), std::string(1'000, 'x')})
    EXPECT_FALSE(sessions.find(wrong, kStart));
}

TEST_F(SessionsTest, ACodeIsGoodOnceAndForAMinute) {
  const auto& who = token("a");
  const auto code = sessions.make_code(who, kStart);
  EXPECT_EQ(sessions.take_code(code, kStart + 59'999)->name, "a");
  EXPECT_FALSE(sessions.take_code(code, kStart + 59'999)) << "it was used";
  const auto late = sessions.make_code(who, kStart);
  EXPECT_FALSE(sessions.take_code(late, kStart + 60'000));
  EXPECT_FALSE(sessions.take_code(late, kStart)) << "nor later";
  const auto revoked = sessions.make_code(who, kStart);
  access.remove_token(who.id);
  EXPECT_FALSE(sessions.take_code(revoked, kStart));
  EXPECT_FALSE(sessions.take_code("", kStart));
}

TEST_F(SessionsTest, CodesAreBounded) {
  const auto& who = token("a");
  for (std::size_t i = 0; i < Sessions::kCodesMax; ++i) EXPECT_FALSE(sessions.make_code(who, kStart).empty());
  EXPECT_TRUE(sessions.make_code(who, kStart).empty());
  EXPECT_FALSE(sessions.make_code(who, kStart + 60'000).empty());
}

}  // namespace
}  // namespace geres::hub::api
