// SPDX-License-Identifier: Apache-2.0
// The members that answers of the hub may have, as the contract (api/openapi.yaml) lists them: what --fields takes,
// also where no row has it. A test holds them against the contract.
#pragma once

#include <span>
#include <string>

namespace geres::cli {

// `schema`: "Job", "Host", …; empty for one that is not known here.
std::span<const std::string> answer_fields(const std::string& schema);

}  // namespace geres::cli
