// SPDX-License-Identifier: Apache-2.0
// Calls to a real listener on loopback: what is refused never reaches it, and no answer can hold a call for ever.
#include "hub/webhooks/poster.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

#include "transport/listener_test.h"

namespace geres::hub::webhooks {
namespace {

using transport::finish;
using transport::hear;
using transport::Listener;
using transport::say;

Posted post(const AddressRules& rules, const std::string& url, const std::string& host, Poster::Options options = {}) {
  Poster poster(rules, options);
  std::optional<Posted> answer;
  Post post;
  post.url = url;
  post.host = host;
  post.headers = {{"webhook-id", "one"}};
  post.body = "{}";
  poster.post(std::move(post), [&](Posted posted) { answer = std::move(posted); });
  while (!answer) poster.turn(100);
  return *answer;
}

TEST(Poster, ConnectsToNothingThatIsRefusedWhateverItWasAskedBefore) {
  Listener listener([](int) {});
  const auto posted = post(AddressRules(), listener.url(), "example.com");
  EXPECT_FALSE(posted.arrived());
  EXPECT_EQ(posted.status, 0);
  EXPECT_NE(posted.error.find("loopback"), std::string::npos) << posted.error;
  EXPECT_EQ(listener.connections, 0);
}

TEST(Poster, TakesNoProxyFromTheEnvironment) {
  Listener proxy([](int connection) { say(connection, "HTTP/1.1 204 No Content\r\n\r\n"); });
  Listener listener([](int connection) {
    EXPECT_TRUE(hear(connection).starts_with("POST / HTTP/1.1\r\n"));
    say(connection, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    finish(connection);
  });
  ::setenv("http_proxy", proxy.url().c_str(), 1);
  ::setenv("all_proxy", proxy.url().c_str(), 1);
  const auto rules = AddressRules::allowing({"127.0.0.1"}).value();
  const auto posted = post(rules, listener.url(), "127.0.0.1");
  ::unsetenv("http_proxy");
  ::unsetenv("all_proxy");
  EXPECT_TRUE(posted.arrived()) << posted.error;
  EXPECT_EQ(posted.status, 200);
  EXPECT_EQ(proxy.connections, 0);
}

TEST(Poster, AnAnswerWithoutEndIsCutAndOneThatDoesNotComeIsATimeout) {
  const auto rules = AddressRules::allowing({"127.0.0.1"}).value();
  Listener endless([](int connection) {
    hear(connection);
    say(connection, "HTTP/1.1 200 OK\r\n\r\n");
    while (say(connection, std::string(4096, 'x'))) {
    }
  });
  EXPECT_TRUE(post(rules, endless.url(), "127.0.0.1").arrived());
  Listener headers([](int connection) {
    hear(connection);
    say(connection, "HTTP/1.1 500 No\r\n");
    while (say(connection, "X-More: " + std::string(4096, 'x') + "\r\n")) {
    }
  });
  EXPECT_FALSE(post(rules, headers.url(), "127.0.0.1").arrived());
  Listener silent([](int connection) { hear(connection), hear(connection); });
  Poster::Options hasty;
  hasty.answer_time_max = 50;
  const auto posted = post(rules, silent.url(), "127.0.0.1", hasty);
  EXPECT_EQ(posted.status, 0);
  EXPECT_NE(posted.error.find("no answer within"), std::string::npos) << posted.error;
}

}  // namespace
}  // namespace geres::hub::webhooks
