// SPDX-License-Identifier: Apache-2.0
// What the publisher can be told at its start. The defaults are those of `geres hub`.
#pragma once

#include <cstddef>

#include "base/clock.h"
#include "hub/amqp/target.h"

namespace geres::hub::amqp {

struct Options {
  Access access;
  TokenAccess tokens;       // of nobody: by SASL alone
  bool from_start = false;  // at its first use: begin with everything that is kept, or with what comes
  int tries_max = 0;        // rejections of a message by the broker after which it is left out; 0: never
  std::size_t in_flight_max = 500;
  Millis retry_first = 250;  // then twice as long each time, up to …
  Millis retry_max = 30'000;
  Millis answer_time_max = 30'000;  // for the broker to accept a connection, or to answer messages
  Millis commit_every = 500;
};

}  // namespace geres::hub::amqp
