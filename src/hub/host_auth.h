// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/describe/enum.hpp>

namespace geres::hub {

// What makes a host: a token or secret; a certificate that names it; or both at once. Hosts of this machine itself,
// which come by loopback in clear, show none.
enum class HostAuth { secret, mtls, both };
BOOST_DESCRIBE_ENUM(HostAuth, secret, mtls, both)

}  // namespace geres::hub
