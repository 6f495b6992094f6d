// SPDX-License-Identifier: Apache-2.0
// Where stores get their secrets from: variables of the environment, which others on the machine cannot read, as they
// can a command line.
#pragma once

#include <cstdlib>
#include <functional>
#include <string>

namespace geres::objects {

// The value of a variable of the environment; empty if it is not set. Any thread.
using Environment = std::function<std::string(const std::string& name)>;

// This process's own.
inline std::string process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

}  // namespace geres::objects
