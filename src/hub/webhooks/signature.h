// SPDX-License-Identifier: Apache-2.0
// How a receiver knows that a call comes from the hub: HMAC-SHA256 over "id.timestamp.body", by the Standard Webhooks
// specification, so that libraries for it can verify the calls.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "model/webhook.h"

namespace geres::hub::webhooks {

std::string new_webhook_secret();  // "whsec_" and 32 random bytes in base64
Result<void> check_webhook_secret(const std::string& secret, std::string_view field);  // badValue

// "v1,<base64>" for each secret that is valid now, separated by a space.
std::string signatures(const model::Webhook& webhook, Millis wall, std::string_view id, std::string_view timestamp,
                       std::string_view body);

}  // namespace geres::hub::webhooks
