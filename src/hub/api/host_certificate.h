// SPDX-License-Identifier: Apache-2.0
// Hosts that show a certificate: the TLS layer has verified that one of the operator's authorities signed it; here it
// must name the host that calls.
#pragma once

#include <memory>
#include <string>

#include "hub/api/call.h"

namespace geres::hub::api {

// certificateRequired, certificateOtherHost; good where none is asked for, or where the host is on this machine.
Result<void> check_host_certificate(const Api& api, const http::Request& request, const std::string& host);

// Where a certificate is all that a host needs: the one that it names, to register. nullptr: none was shown.
std::shared_ptr<const Identity> certified_host(const Api& api, const http::Request& request);

}  // namespace geres::hub::api
