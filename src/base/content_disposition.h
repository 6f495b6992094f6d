// SPDX-License-Identifier: Apache-2.0
// The header with which a download gets its file's name.
#pragma once

#include <string>
#include <string_view>

namespace geres {

// RFC 6266: what follows the last '/' of `name`, as ASCII for old clients and as UTF-8 for others.
std::string content_disposition(std::string_view name);

}  // namespace geres
