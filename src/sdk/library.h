// SPDX-License-Identifier: Apache-2.0
// Opens job libraries and speaks their C interface.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "geres/job_abi.h"

namespace geres::sdk {

// A loaded library; it stays loaded, since its threads and statics may outlive any scope of ours.
struct Library {
  std::string path;
  const geres_job_library_v1* api = nullptr;  // null: `trouble` says why, in one line
  std::string trouble;

  std::vector<std::string> types() const;
  bool has(std::string_view type) const;
};

Library load_library(const std::string& path);

}  // namespace geres::sdk
