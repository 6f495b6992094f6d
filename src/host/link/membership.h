// SPDX-License-Identifier: Apache-2.0
// What a host is to the hub, and when its leases end.
#pragma once

#include <string>

#include "base/clock.h"
#include "host/link/hub_link.h"
#include "wire/host/host_protocol.h"

namespace geres::host {

// Who this host is to the hub.
struct Membership {
  std::string id;
  std::string secret;
  Millis report_ms = 5'000;
  int protocol = 1;  // of this host and its hub, wire::kProtocol at most

  // What a hub of an older protocol would refuse.
  bool takes_files_left_out() const { return protocol >= 2; }  // in the report of an end
  bool takes_health() const { return protocol >= 2; }          // in fetches and reports
};

// What a 201 to a registration says.
Result<Membership> membership(const HubAnswer& registered);

// This machine's name in the form of a host's name.
std::string machine_name();

// When a lease counts as over on this side: a margin before its end.
Millis lease_end(Millis counted_from, Millis ttl);

}  // namespace geres::host
