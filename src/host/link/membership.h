// SPDX-License-Identifier: Apache-2.0
// A host's identity at its hub, and when its leases end.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "host/link/hub_link.h"
#include "wire/host/host_protocol.h"

namespace geres::host {

// This host's identity at the hub.
struct Membership {
  std::string id;
  // Shared by all copies, because a host may change it while its calls go on.
  std::shared_ptr<std::string> secret = std::make_shared<std::string>();
  Millis report_ms = 5'000;
  int protocol = 1;  // the one that host and hub agreed on, at most wire::kProtocol

  // What a hub with an older protocol would refuse.
  bool takes_files_left_out() const { return protocol >= 2; }  // in the report of an end
  bool takes_health() const { return protocol >= 2; }          // in fetches and reports
  bool takes_upload_questions() const { return protocol >= 3; }
};

// Reads the 201 answer to a registration.
Result<Membership> membership(const HubAnswer& registered);

// This machine's name, changed to be valid as a host's name.
std::string machine_name();

// When a lease counts as over on this side: some margin before its end.
Millis lease_end(Millis counted_from, Millis ttl);

}  // namespace geres::host
