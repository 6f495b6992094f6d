// SPDX-License-Identifier: Apache-2.0
// The members that the hub's answers may have, as listed in api/openapi.yaml. They are what --fields accepts, even
// where no row has the member. A test compares them with the contract.
#pragma once

#include <span>
#include <string>

namespace geres::cli {

// `schema`: "Job", "Host", …; empty for an unknown one.
std::span<const std::string> answer_fields(const std::string& schema);

}  // namespace geres::cli
