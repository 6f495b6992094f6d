// SPDX-License-Identifier: Apache-2.0
// The open files that the runner itself needs: a dozen and more for each slot.
#pragma once

#include <sys/resource.h>

#include <cerrno>
#include <cstdint>

#include "base/error.h"

namespace geres::runner {

// Takes as many as this process may have; what it had before is what jobs get.
rlimit take_all_descriptors();

// The code tooMany; its sentence says what to change. Never a reason to make do with something weaker.
Error no_descriptors(std::uint32_t slots);
inline bool lacks_descriptors(int error) {
  return error == EMFILE || error == ENFILE;
}

}  // namespace geres::runner
