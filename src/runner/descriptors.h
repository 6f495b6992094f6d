// SPDX-License-Identifier: Apache-2.0
// The open files that the runner itself needs: more than a dozen for each slot.
#pragma once

#include <sys/resource.h>

#include <cerrno>
#include <cstdint>

#include "base/error.h"

namespace geres::runner {

// Raises the limit as far as this process may, and returns the earlier limit, which jobs get.
rlimit take_all_descriptors();

// The error tooMany, whose sentence says what to change. A lack of descriptors never leads to a weaker containment.
Error no_descriptors(std::uint32_t slots);
inline bool lacks_descriptors(int error) {
  return error == EMFILE || error == ENFILE;
}

}  // namespace geres::runner
