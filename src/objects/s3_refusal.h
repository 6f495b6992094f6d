// SPDX-License-Identifier: Apache-2.0
// What a server says when it does not do what it was asked for, in words for whoever runs the hub. S3 answers with
//
//   <Error><Code>NoSuchBucket</Code><Message>…</Message>…</Error>
//
// mostly with a status other than 200, but also with 200 where an answer was begun before its end was known.
#pragma once

#include <string>

#include "base/error.h"
#include "objects/s3_place.h"
#include "transport/call.h"
#include "transport/failure.h"

namespace geres::objects {

struct S3Refusal {
  unsigned status = 0;   // 0: nobody answered, or it broke off
  std::string code;      // S3's; empty if it gave none
  bool passing = false;  // worth another try
  Millis retry_after = 0;
  Error error;
};

// What was asked for.
struct S3Purpose {
  std::string words;   // "acme/one cannot be written"
  std::string action;  // that the keys have to allow: "s3:PutObject"
};

struct S3Asked {
  const S3Place& place;
  const S3Purpose& purpose;
  std::string keys;  // their source
  Millis wall = 0;   // by this machine's clock, when it was signed
};

S3Refusal read_refusal(const transport::Failure& failure, const S3Asked& asked);
// Of an answer with 200 that is an error after all; nullopt if it is none.
std::optional<S3Refusal> read_late_refusal(const transport::Reply& reply, const S3Asked& asked);

}  // namespace geres::objects
