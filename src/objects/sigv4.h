// SPDX-License-Identifier: Apache-2.0
// How AWS knows who asks: Signature Version 4, over method, path, query, headers and the body's digest, in a header or
// in a link's query. Both forms are made from the same text:
//
//   canonical request = method LF path LF query LF *(name ":" value LF) LF signed names LF payload
//   text to sign      = "AWS4-HMAC-SHA256" LF time LF day/region/service/aws4_request LF sha256(canonical request)
//   signature         = hmac(hmac(hmac(hmac(hmac("AWS4" secret, day), region), service), "aws4_request"), text to sign)
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "transport/call.h"

namespace geres::objects {

struct AwsKeys {
  std::string id;
  std::string secret;
  std::string session_token;      // of temporary keys; empty: these last
  std::optional<Millis> ends_at;  // wall
};

struct AwsScope {
  std::string region;
  std::string service = "s3";
};

struct AwsRequest {
  std::string method = "GET";
  std::string path = "/";                      // each segment escaped once
  transport::Query query;                      // not escaped, in any order
  std::map<std::string, std::string> headers;  // all that are signed, `host` among them; names in lower case
  std::string payload;                         // the body's SHA-256, 64 hex digits, or kUnsignedPayload
};

constexpr auto kUnsignedPayload = "UNSIGNED-PAYLOAD";
constexpr auto kEmptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// Sorted, and each name followed by '=', even one without a value: as it is signed, and as it must be sent.
std::string canonical_query(const transport::Query& query);

// Adds x-amz-date, x-amz-security-token (of temporary keys) and authorization to the headers.
void sign(AwsRequest& request, const AwsKeys& keys, const AwsScope& scope, Millis wall);

// The query of a link that may be used from `wall` on for so many seconds. With a payload, whoever uses the link must
// send these bytes, and say so in the header x-amz-content-sha256, which is among those signed.
std::string presigned_query(AwsRequest request, const AwsKeys& keys, const AwsScope& scope, Millis wall,
                            std::int64_t seconds);

}  // namespace geres::objects
