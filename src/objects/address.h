// SPDX-License-Identifier: Apache-2.0
// Questions about the address at which a store answers.
#pragma once

#include <string>
#include <string_view>

namespace geres::objects {

bool on_loopback(std::string_view url);
std::string without_slash(std::string url);  // none at its end

}  // namespace geres::objects
