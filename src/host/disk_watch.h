// SPDX-License-Identifier: Apache-2.0
// Keeps one attempt from filling the disk that all share. Measures each running attempt's directory, more often the
// faster it grows and the nearer it is to its limit, and reports when it is over. Also watches how much is free in all.
// Uses a thread of its own, because a directory may hold a million files.
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
  std::int64_t bytes = 10LL << 30;    // on disk; 0: no limit. Also the largest size of a single file
  std::int64_t files = 1'000'000;     // and directories; 0: no limit
  std::int64_t reserve = 64LL << 20;  // while less is free, no new job is started
};

struct ScratchUse {
  std::int64_t bytes = 0;
  std::int64_t files = 0;
  bool too_deep = false;  // directories nested deeper than can be measured
};

// Measures what is below `directory`, without following links. It may change meanwhile. Stops early once over the
// limits.
ScratchUse measure_scratch(const std::filesystem::path& directory, const ScratchLimits& limits);

// One sentence for people; empty: within the limits.
std::string over_scratch(const ScratchUse& use, const ScratchLimits& limits);

class DiskWatch {
 public:
  // Both run on the watch's thread. `over`: once per attempt. `short_of_space`: on each change.
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
  // The bytes of deleted files that the attempt's processes hold open; they count like any others.
  void held(const std::string& key, std::int64_t bytes);

 private:
  struct Watched {
    std::filesystem::path directory;
    Millis next = 0;
    Millis measured_at = 0;
    std::int64_t bytes = 0;  // including `held`
    std::int64_t held = 0;
    bool doubtful = false;  // over its limit only because of `held`, which may just have been released
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
