// SPDX-License-Identifier: Apache-2.0
// Addresses that can be published to, and those that are refused.
#include "hub/amqp/target.h"

#include <gtest/gtest.h>

namespace geres::hub::amqp {
namespace {

Error refusal(const Access& access) {
  const auto target = parse_target(access);
  EXPECT_FALSE(target) << access.url;
  return target ? Error{} : target.error();
}

TEST(AmqpTarget, IsTakenApart) {
  const auto plain = parse_target({.url = "amqp://LocalHost/events"}).value();
  EXPECT_EQ(plain.server(), "amqp://localhost:5672");
  EXPECT_EQ(plain.address, "events");
  EXPECT_FALSE(plain.tls);
  const auto tls = parse_target({.url = "amqps://ns.servicebus.windows.net/geres", .user = "send", .password = "p"});
  EXPECT_EQ(tls.value().text(), "amqps://ns.servicebus.windows.net:5671/geres");
  EXPECT_EQ(parse_target({.url = "amqp://[::1]:7000/a"}).value().text(), "amqp://[::1]:7000/a");
  EXPECT_EQ(parse_target({.url = "amqp://[::1]/a"}).value().server(), "amqp://[::1]:5672");
}

TEST(AmqpTarget, ItsAddressIsTheRestAsItStands) {
  EXPECT_EQ(parse_target({.url = "amqp://h//exchange/geres"}).value().address, "/exchange/geres");
  EXPECT_EQ(parse_target({.url = "amqp://h//exchanges/a%2Fb/k"}).value().address, "/exchanges/a%2Fb/k");
  EXPECT_EQ(parse_target({.url = "amqp://h/a@b?c#d"}).value().address, "a@b?c#d");
}

TEST(AmqpTarget, WhatIsNoneIsRefused) {
  for (const auto* url : {"", "events", "http://h/a", "amqp:/h/a", "AMQP", "amqp://", "amqp:///a", "amqp://h",
                          "amqp://h/", "amqp://h:/a", "amqp://h:0/a", "amqp://h:65536/a", "amqp://h:x/a",
                          "amqp://h:123456/a", "amqp://[::1/a", "amqp://[h]/a", "amqp://h/a b", "amqp://:5672/a"}) {
    const auto error = refusal({.url = url});
    EXPECT_EQ(error.field, "url") << url;
    EXPECT_NE(error.hint.find("amqp"), std::string::npos) << url;
  }
  EXPECT_EQ(refusal({.url = "amqp://h/" + std::string(3'000, 'a')}).field, "url");
}

TEST(AmqpTarget, ASecretInTheUrlIsRefusedAndNotRepeated) {
  for (const auto* url : {"amqps://me:geheim@h/a", "amqps://geheim@h/a"}) {
    const auto error = refusal({.url = url});
    EXPECT_EQ((error.message + error.hint).find("geheim"), std::string::npos);
    EXPECT_EQ(error.field, "password");
  }
}

TEST(AmqpTarget, APasswordTravelsInTheClearToThisMachineAlone) {
  for (const auto* url :
       {"amqp://localhost/a", "amqp://127.0.0.1/a", "amqp://127.9.9.9/a", "amqp://[::1]/a", "amqps://h/a"})
    EXPECT_TRUE(parse_target({.url = url, .user = "me", .password = "geheim"})) << url;
  for (const auto* url : {"amqp://h/a", "amqp://10.0.0.1/a", "amqp://localhost.example.com/a", "amqp://128.0.0.1/a"}) {
    const auto error = refusal({.url = url, .user = "me", .password = "geheim"});
    EXPECT_EQ(error.field, "url");
    EXPECT_NE(error.hint.find("amqps://"), std::string::npos);
    EXPECT_EQ(error.message.find("geheim"), std::string::npos);
  }
}

TEST(AmqpTarget, WhatBelongsTogetherIsAskedFor) {
  EXPECT_EQ(refusal({.url = "amqps://h/a", .user = "me"}).field, "password");
  EXPECT_EQ(refusal({.url = "amqps://h/a", .password = "x"}).field, "user");
  EXPECT_EQ(refusal({.url = "amqp://h/a", .ca_file = "ca.pem"}).field, "ca_file");
}

}  // namespace
}  // namespace geres::hub::amqp
