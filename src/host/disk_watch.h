// SPDX-License-Identifier: Apache-2.0
// Keeps one attempt from filling the disk that all share: measures each running attempt's directory, the oftener the
// faster it grows and the nearer it is to its limit, and says when it is over. Also looks at how much is free at all.
// A thread of its own, since a directory may hold a million files.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"

namespace geres::host {

struct ScratchLimits {
  std::int64_t bytes = 10LL << 30;    // on disk; 0: no limit. Also the most that one file may have
  std::int64_t files = 1'000'000;     // and directories; 0: no limit
  std::int64_t reserve = 64LL << 20;  // while less is free, nothing new is started
};

struct ScratchUse {
  std::int64_t bytes = 0;
  std::int64_t files = 0;
  bool too_deep = false;  // directories within directories, more than can be measured
};

// What lies below `directory`, never following links. It may change meanwhile. Stops early beyond the limits.
ScratchUse measure_scratch(const std::filesystem::path& directory, const ScratchLimits& limits);

// One sentence for people; empty: within the limits.
std::string over_scratch(const ScratchUse& use, const ScratchLimits& limits);

class DiskWatch {
 public:
  // Both are called on the watch's thread. `over`: once for each attempt. `short_of_space`: on change.
  struct Callbacks {
    std::function<void(const std::string& key, const std::string& reason)> over;
    std::function<void(bool)> short_of_space;
  };
  DiskWatch(ScratchLimits limits, std::filesystem::path data, Callbacks callbacks);
  ~DiskWatch() { stop(); }

  void start();
  void stop();  // no callback comes after it
  // Any thread.
  void add(const std::string& key, const std::filesystem::path& directory);
  void remove(const std::string& key);
  // What the attempt's processes hold of files that have no name any more; counts like the others.
  void held(const std::string& key, std::int64_t bytes);

 private:
  struct Watched {
    std::filesystem::path directory;
    Millis next = 0;
    Millis measured_at = 0;
    std::int64_t bytes = 0;  // with `held`
    std::int64_t held = 0;
    bool doubtful = false;  // over its limit by what is held, which may just have been given up
  };
  void run();
  void look_at_space();
  void look_at(const std::string& key, const std::filesystem::path& directory);
  Millis pause(const Watched& watched, const ScratchUse& use, Millis now, Millis cost) const;

  const ScratchLimits limits_;
  const std::filesystem::path data_;
  const Callbacks callbacks_;
  SystemClock clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Watched> watched_;
  Millis space_next_ = 0;
  bool short_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace geres::host
