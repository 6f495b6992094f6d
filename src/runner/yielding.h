// SPDX-License-Identifier: Apache-2.0
// An attempt that has run for a while yields its processors to those that start: on a machine that long jobs keep busy,
// a short one would else wait for several turns of theirs before it has even begun. They keep all that nobody else
// wants. Linux shares time between sessions first (autogroup) and by niceness within one, so both are set.
#pragma once

#include <sys/types.h>

#include <set>
#include <vector>

namespace geres::runner {

class Yielding {
 public:
  // How nice it becomes: it still gets about a sixth of a processor that a newcomer wants whole. Nicer than this gains
  // nothing.
  static constexpr int kNice = 7;

  // Makes nicer those of `processes` (an attempt's, as containment tells them) that are not yet: looked at again from
  // time to time, as they make new sessions and groups. What cannot be changed stays as it is.
  void look(const std::vector<pid_t>& processes);

 private:
  std::set<pid_t> sessions_;  // done already
  std::set<pid_t> groups_;
};

}  // namespace geres::runner
