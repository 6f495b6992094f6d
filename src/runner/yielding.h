// SPDX-License-Identifier: Apache-2.0
// An attempt that has run for a while yields its processors to those that start. Otherwise, on a machine that long jobs
// keep busy, a short one would wait for several of their turns before it even begins. A yielding attempt still gets
// everything that nobody else wants. Linux shares time first between sessions (autogroup) and within one by niceness,
// so both are set.
#pragma once

#include <sys/types.h>

#include <set>
#include <vector>

namespace geres::runner {

class Yielding {
 public:
  // How nice it becomes: it still gets about a sixth of a processor that a newcomer wants whole. A higher value gains
  // nothing.
  static constexpr int kNice = 7;

  // Makes nicer those of `processes` (all of an attempt's) that are not yet. Called from time to time, because they
  // make new sessions and groups. What cannot be changed stays as it is.
  void look(const std::vector<pid_t>& processes);

 private:
  std::set<pid_t> sessions_;  // done already
  std::set<pid_t> groups_;
};

}  // namespace geres::runner
