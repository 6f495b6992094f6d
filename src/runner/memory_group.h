// SPDX-License-Identifier: Apache-2.0
// One control group's memory, as the kernel counts it: heap, stacks, files in memory (memfd, /dev/shm), and what of
// files is cached (which it gives back before it kills). The names of the files differ between v1 and v2; all else of
// the runner need not know them.
#pragma once

#include <cstdint>
#include <string>

#include "base/file.h"

namespace geres::runner {

enum class CgroupVersion { v1, v2 };

class MemoryGroup {
 public:
  // Of an existing directory. False with errno: ENOENT if memory is not counted there.
  bool open(const std::string& directory, CgroupVersion version);
  const std::string& directory() const { return directory_; }

  // Before each use: the peak begins anew, and the group may have `bytes` from now on (0: any number), swap included.
  // `kill_all` (v2): one kill for memory ends all of the group; v1 leaves that to who reads event_fd(). Writes what
  // has changed only. False with errno: EBUSY if it holds more than that and nothing can be given back.
  bool prepare(std::int64_t bytes, bool kill_all);

  // It holds much that is nobody's cache: files in memory that earlier processes left behind, which would be charged
  // to those that come.
  bool holds_leftovers() const;

  std::int64_t kills() const;      // processes of it that the kernel has killed for want of memory, ever
  std::int64_t peak() const;       // bytes since prepare(); 0: the kernel does not tell
  bool has_reached_limit() const;  // since prepare()

  int join_fd() const { return join_.get(); }    // v1: a process writes itself there; v2: -1
  int event_fd() const { return event_.get(); }  // v1: an eventfd, told just before the kernel kills; v2: -1

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
