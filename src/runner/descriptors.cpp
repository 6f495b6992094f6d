// SPDX-License-Identifier: Apache-2.0
#include "runner/descriptors.h"

#include <string>

namespace geres::runner {

rlimit take_all_descriptors() {
  rlimit before{};
  if (getrlimit(RLIMIT_NOFILE, &before) != 0) return {RLIM_INFINITY, RLIM_INFINITY};
  const rlimit all{before.rlim_max, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &all);
  return before;
}

Error no_descriptors(std::uint32_t slots) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  return fail(Code::tooMany,
              std::to_string(slots) + " slots need more open files than the " + std::to_string(files.rlim_max) +
                  " that this host may have: raise its limit (ulimit -n, LimitNOFILE= in the unit) or take fewer "
                  "--slots");
}

}  // namespace geres::runner
