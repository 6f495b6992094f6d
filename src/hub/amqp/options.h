// SPDX-License-Identifier: Apache-2.0
// What the publisher can be told at its start. The defaults are those of `geres hub`.
#pragma once

#include <cstddef>

#include "base/clock.h"
#include "hub/amqp/target.h"

namespace geres::hub::amqp {

struct Options {
  Access access;
  bool from_start = false;  // where it begins at its first use: with all that is kept, or with what comes
  int tries_max = 0;        // of a message that the broker rejects; then it is left out. 0: never
  std::size_t in_flight_max = 500;
  Millis retry_first = 250;  // then twice as long each, up to …
  Millis retry_max = 30'000;
  Millis answer_time_max = 30'000;  // the broker's, to a new connection and to messages
  Millis commit_every = 500;
};

}  // namespace geres::hub::amqp
