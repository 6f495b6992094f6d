// SPDX-License-Identifier: Apache-2.0
// What the sender of webhooks can be told at its start. The defaults are those of `geres hub`.
#pragma once

#include <cstddef>
#include <filesystem>

#include "base/clock.h"
#include "hub/webhooks/addresses.h"

namespace geres::hub::webhooks {

struct Options {
  AddressRules rules;
  std::filesystem::path ca_file;  // certificates to trust beside the system's, PEM; empty: none
  Millis answer_time_max = 10'000;
  Millis retry_first = 10'000;  // then three times as long each time, up to …
  Millis retry_max = 2 * 3'600'000;
  int attempts_max = 12;                    // over eleven hours with the above; then it is a dead letter
  int in_flight_max = 4;                    // to one receiver
  std::size_t in_flight_total_max = 256;    // to all
  std::size_t window = 16;                  // events of one webhook that were read and are not settled
  std::size_t pending_max = 1'000;          // waiting deliveries of one webhook, beyond which it reads no further
  std::size_t pending_total_max = 100'000;  // kept in memory; others wait in the store
  Millis commit_every = 500;
};

}  // namespace geres::hub::webhooks
