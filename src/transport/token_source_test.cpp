// SPDX-License-Identifier: Apache-2.0
#include "transport/token_source.h"

#include <gmock/gmock.h>

#include <thread>
#include <vector>

#include "base/file.h"

namespace geres::transport {
namespace {

using testing::HasSubstr;
using testing::Not;

struct TokenSourceTest : testing::Test {
  TemporaryDirectory directory;
  ManualClock clock;
  std::string path(const std::string& name) const { return (directory.path() / name).string(); }
  void write(const std::string& name, const std::string& text) { replace_file(directory.path() / name, text); }
  TokenSource command(const std::string& text, Millis time_max = 30'000) {
    return TokenSource({.command = text, .command_time_max = time_max}, clock);
  }
  std::string trouble(const std::string& text, Millis time_max = 30'000) {
    auto source = command(text, time_max);
    const auto got = source.token();
    return got ? "a token: " + *got : got.error().message;
  }
  // Prints what is in `out`, and adds a line to `asked`.
  std::string noting() const { return "echo >>" + path("asked") + "; cat " + path("out"); }
  std::size_t asked() const { return read_file_if(path("asked")).value_or("").size(); }
};

TEST_F(TokenSourceTest, AGivenTokenStaysAsItIs) {
  TokenSource source({.token = "abc"}, clock);
  EXPECT_EQ(source.token().value(), "abc");
  EXPECT_FALSE(source.refused("abc"));
  EXPECT_EQ(TokenSource({}, clock).token().value(), "");
}

TEST_F(TokenSourceTest, AFileIsReadAgainWhenItIsReplaced) {
  write("token", "one\n");
  TokenSource source({.file = path("token")}, clock);
  EXPECT_EQ(source.token().value(), "one");
  EXPECT_FALSE(source.refused("one"));
  write("token", "two");
  EXPECT_TRUE(source.refused("one"));
  EXPECT_EQ(source.token().value(), "two");
  write("token", "three");
  EXPECT_EQ(source.token().value(), "three");
  std::filesystem::remove(path("token"));  // for a moment
  EXPECT_EQ(source.token().value(), "three");
}

TEST_F(TokenSourceTest, SaysWhatIsWrongWithAFile) {
  TokenSource absent({.file = path("absent")}, clock);
  EXPECT_THAT(absent.token().error().message, HasSubstr("there is no token file " + path("absent")));
  write("page", "<html> a secret");
  TokenSource page({.file = path("page")}, clock);
  EXPECT_THAT(page.token().error().message, HasSubstr("there is no token in"));
  EXPECT_THAT(page.token().error().message, Not(HasSubstr("secret")));
}

TEST_F(TokenSourceTest, ACommandIsAskedAnewAtTwoThirdsOfALifeAndWhenRefused) {
  write("out", R"({"token": "one", "expiresAt": ")" + format_time(clock.wall() + 90'000) + "\"}");
  auto source = command(noting());
  EXPECT_EQ(source.token().value(), "one");
  clock.advance(59'999);
  EXPECT_EQ(source.token().value(), "one");
  EXPECT_EQ(asked(), 1u);
  write("out", "two");
  clock.advance(1);
  EXPECT_EQ(source.token().value(), "two");
  EXPECT_EQ(asked(), 2u);
  EXPECT_FALSE(source.refused("two"));  // it knows no other
  EXPECT_EQ(asked(), 3u);
  write("out", "three");
  EXPECT_TRUE(source.refused("two"));
  EXPECT_TRUE(source.refused("two"));  // as another thread would say that sent it, too
  EXPECT_EQ(source.token().value(), "three");
  EXPECT_EQ(asked(), 4u);
}

TEST_F(TokenSourceTest, ManyThreadsCauseOneCall) {
  write("out", "one");
  auto source = command(noting());
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { EXPECT_EQ(source.token().value(), "one"); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(asked(), 1u);
}

TEST_F(TokenSourceTest, SaysWhatIsWrongWithACommand) {
  EXPECT_EQ(trouble("echo so; echo not signed in >&2; exit 1"),
            "the token command ended with exit code 1: not signed in");
  EXPECT_EQ(trouble("kill -9 $$"), "the token command was killed");
  EXPECT_EQ(trouble("exec sleep 1000", 100), "the token command has not ended within 0 s");
  EXPECT_EQ(trouble("exec cat /dev/zero"), "the token command prints more than 64 KiB");
  EXPECT_EQ(trouble("true"), "the token command prints no token");
  EXPECT_EQ(trouble("echo please sign in"), "what the token command prints is no token");
  EXPECT_EQ(trouble("echo '{\"token\": '"), "the token command prints no good JSON");
  EXPECT_EQ(trouble("echo '{\"access_token\": \"a\"}'"), "the token command prints no token");
  EXPECT_EQ(trouble(R"(echo '{"token": "a", "expiresAt": "soon"}')"),
            "the token command prints an `expiresAt` that is no time");
  EXPECT_EQ(trouble(R"(echo '{"token": "a", "expiresAt": ")" + format_time(clock.wall()) + "\"}'"),
            "the token command prints a token that has expired");
}

TEST_F(TokenSourceTest, ACommandEndsWhenItsUserDoes) {
  const std::atomic<bool> stop = true;
  TokenSource source({.command = "exec sleep 1000"}, clock, &stop);
  EXPECT_EQ(source.token().error().message, "the token command was stopped");
}

}  // namespace
}  // namespace geres::transport
