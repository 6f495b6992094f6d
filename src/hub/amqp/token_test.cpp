// SPDX-License-Identifier: Apache-2.0
// Tokens without a provider; tests/end_to_end/amqp_token_test.py has a real one.
#include "hub/amqp/token.h"

#include <gtest/gtest.h>

#include <future>

namespace geres::hub::amqp {
namespace {

Target target_of(const std::string& url) {
  return parse_target({url, "", "", ""}).value();
}

TokenAccess client() {
  TokenAccess access;
  access.issuer = "https://login.example/TENANT/v2.0";
  access.client_id = "hub";
  access.client_secret = "secret";
  return access;
}

std::string fault(const TokenAccess& tokens, Access access = {"amqps://broker/events", "", "", ""}) {
  const auto checked = check_tokens(tokens, access, target_of(access.url));
  return checked ? "" : checked.error().field;
}

TEST(AmqpToken, NamesAnAddressWithoutItsPort) {
  EXPECT_EQ(entity_of(target_of("amqps://acme.servicebus.windows.net:5671/geres")),
            "sb://acme.servicebus.windows.net/geres");
}

// The signature as `openssl dgst -sha256 -hmac` has it.
TEST(AmqpToken, SignsAsAzureDoes) {
  const auto token =
      shared_access_signature({"hub", "a+key/of=tests"}, "sb://acme.servicebus.windows.net/geres", 1'700'000'000'999);
  EXPECT_EQ(token.type, "servicebus.windows.net:sastoken");
  EXPECT_EQ(token.expires, 1'700'000'000'000);
  EXPECT_EQ(token.text,
            "SharedAccessSignature "
            "sr=sb%3A%2F%2Facme.servicebus.windows.net%2Fgeres&sig=HvVECAFm%2BE1ovUXnA4my%2FYMV%2FRSdkVO0r2wX7TMZdZc%"
            "3D&se=1700000000&skn=hub");
}

TEST(AmqpToken, WhatDoesNotFitIsNamed) {
  EXPECT_EQ(fault({}), "");
  EXPECT_EQ(fault(client()), "");
  EXPECT_EQ(fault(client(), {"amqp://127.0.0.1/events", "", "", ""}), "");
  EXPECT_EQ(fault(client(), {"amqp://broker/events", "", "", ""}), "url");
  EXPECT_EQ(fault(client(), {"amqps://broker/events", "me", "password", ""}), "user");
  const auto without = [](std::string TokenAccess::*member, const std::string& value = "") {
    auto access = client();
    access.*member = value;
    return fault(access);
  };
  EXPECT_EQ(without(&TokenAccess::issuer), "issuer");
  EXPECT_EQ(without(&TokenAccess::issuer, "http://login.example"), "issuer");
  EXPECT_EQ(without(&TokenAccess::client_id), "client_id");
  EXPECT_EQ(without(&TokenAccess::client_secret), "client_secret");
  EXPECT_EQ(without(&TokenAccess::scope), "scope");
  auto both = client();
  both.shared = {"hub", "key"};
  EXPECT_EQ(fault(both), "shared");
}

TEST(AmqpToken, ReadsAConnectionString) {
  const auto key = parse_shared_access_key(
      "Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=hub;SharedAccessKey=abc=;EntityPath=geres\n");
  ASSERT_TRUE(key);
  EXPECT_EQ(key->name, "hub");
  EXPECT_EQ(key->key, "abc=");
  for (const char* text : {"", "abc=", "SharedAccessKeyName=hub", "SharedAccessKey=secret;sharedaccesskeyname=hub"}) {
    const auto refused = parse_shared_access_key(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().message.find("secret"), std::string::npos);
  }
}

TEST(AmqpToken, AProviderThatIsAwayIsSaid) {
  const SystemClock clock;
  auto access = client();
  access.issuer = "http://127.0.0.1:1";
  TokenSource source(access, "sb://broker/events", clock);
  std::promise<Result<Token>> promise;
  source.ask([&](Result<Token> token) { promise.set_value(std::move(token)); });
  const auto token = promise.get_future().get();
  ASSERT_FALSE(token);
  EXPECT_NE(token.error().message.find("http://127.0.0.1:1/.well-known/openid-configuration"), std::string::npos)
      << token.error().message;
  source.stop();
}

}  // namespace
}  // namespace geres::hub::amqp
