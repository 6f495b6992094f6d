// SPDX-License-Identifier: Apache-2.0
// One control group's memory as the kernel counts it: heap, stacks, files in memory (memfd, /dev/shm), and cached parts
// of files (which the kernel gives back before it kills). Hides the differences between v1 and v2 from the rest of the
// runner.
#pragma once

#include <cstdint>
#include <string>

#include "base/file.h"

namespace geres::runner {

enum class CgroupVersion { v1, v2 };

class MemoryGroup {
 public:
  // Opens an existing directory. False with errno: ENOENT if memory is not counted there.
  bool open(const std::string& directory, CgroupVersion version);
  const std::string& directory() const { return directory_; }

  // Call before each use: starts the peak anew and limits the group to `bytes` (0: no limit), swap included. `kill_all`
  // (v2): one kill for lack of memory ends the whole group; under v1 whoever reads event_fd() must do that. Writes only
  // what has changed. False with errno: EBUSY if the group holds more than that and nothing can be given back.
  bool prepare(std::int64_t bytes, bool kill_all);

  // True if the group holds much memory that is not cache: files in memory left by earlier processes, which would be
  // charged to the next ones.
  bool holds_leftovers() const;

  std::int64_t kills() const;      // its processes that the kernel has ever killed for lack of memory
  std::int64_t peak() const;       // bytes since prepare(); 0: the kernel does not say
  bool has_reached_limit() const;  // since prepare()

  int join_fd() const { return join_.get(); }  // v1: a process joins by writing its pid there; v2: -1
  // V1: an eventfd that becomes readable just before the kernel kills; v2: -1.
  int event_fd() const { return event_.get(); }

 private:
  bool listen();
  bool write_limit(std::int64_t bytes);
  std::int64_t usage() const;
  std::int64_t times_at_limit() const;

  CgroupVersion version_ = CgroupVersion::v1;
  std::string directory_;
  Fd events_, peak_, join_, event_;
  std::int64_t limit_ = -1;  // -1: not known
  int kill_all_ = -1;
  std::int64_t at_limit_before_ = 0;
};

}  // namespace geres::runner
