// SPDX-License-Identifier: Apache-2.0
// Times as HTTP writes them; transport::http_time reads them.
#pragma once

#include <string>

#include "base/clock.h"

namespace geres::objects {

// "Mon, 30 Nov 2026 13:39:17 GMT" (RFC 9110, 5.6.7), in full seconds.
std::string http_date(Millis time);

}  // namespace geres::objects
