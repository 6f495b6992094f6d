// SPDX-License-Identifier: Apache-2.0
// Texts that are compiled into the program.
#pragma once

#include <string_view>

namespace geres::hub::api {

extern const std::string_view kOpenapiYaml;  // api/openapi.yaml

}  // namespace geres::hub::api
