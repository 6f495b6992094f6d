// SPDX-License-Identifier: Apache-2.0
// Signatures of webhook calls, and the secrets they are made with.
#include "hub/webhooks/signature.h"

#include <gtest/gtest.h>

#include "base/base64.h"

namespace geres::hub::webhooks {
namespace {

// The example from the reference libraries of the Standard Webhooks specification.
TEST(Signatures, AreThoseOfTheSpecification) {
  model::Webhook webhook;
  webhook.secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  EXPECT_EQ(signatures(webhook, 0, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(Signatures, AreTwoWhileASecretChanges) {
  model::Webhook webhook;
  webhook.secret = new_webhook_secret();
  webhook.old_secret = new_webhook_secret();
  webhook.old_secret_until = 100;
  model::Webhook before = webhook;
  before.secret = webhook.old_secret;
  before.old_secret.clear();
  const auto both = signatures(webhook, 99, "a", "1", "{}");
  EXPECT_EQ(both.substr(both.find(' ') + 1), signatures(before, 99, "a", "1", "{}"));
  EXPECT_EQ(signatures(webhook, 100, "a", "1", "{}"), both.substr(0, both.find(' ')));
}

TEST(Secrets, AreLongEnough) {
  EXPECT_TRUE(check_webhook_secret(new_webhook_secret(), "/secret"));
  EXPECT_NE(new_webhook_secret(), new_webhook_secret());
  for (const std::string& wrong : {std::string(), std::string("whsec_"), "whsec_" + to_base64(std::string(23, 'x')),
                                   "whsec_" + to_base64(std::string(65, 'x')), to_base64(std::string(32, 'x')),
                                   std::string("whsec_not base64 at all, is it?")})
    EXPECT_FALSE(check_webhook_secret(wrong, "/secret")) << wrong;
}

}  // namespace
}  // namespace geres::hub::webhooks
