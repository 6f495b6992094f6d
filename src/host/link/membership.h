// SPDX-License-Identifier: Apache-2.0
// What a host is to the hub, and when its leases end.
#pragma once

#include <string>

#include "base/clock.h"

namespace geres::host {

// Who this host is to the hub.
struct Membership {
  std::string id;
  std::string secret;
  Millis report_ms = 5'000;
};

// This machine's name in the form of a host's name.
std::string machine_name();

// When a lease counts as over on this side: a margin before its end.
Millis lease_end(Millis counted_from, Millis ttl);

}  // namespace geres::host
