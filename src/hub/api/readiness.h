// SPDX-License-Identifier: Apache-2.0
// Whether the hub accepts jobs and, if it does not, why, as far as the disk is the reason: the store has no room, or
// the directory of the files is gone. A thread of the hub looks once a second, so that asking costs nothing and never
// waits for a disk that does not answer. Changes are logged, not states.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "hub/engine/engine.h"
#include "hub/packages/blobs.h"

namespace geres::hub::api {

class Readiness {
 public:
  struct Now {
    bool takes_jobs = true;
    bool files_away = false;               // then no job is accepted, because it could not start
    std::string why;                       // if jobs are refused: a sentence without a path, which everybody may see
    std::optional<packages::Space> store;  // of the disks; empty: they do not answer
    std::optional<packages::Space> files;
  };

  // `low`: below so many free bytes the log warns that a disk is getting full.
  Readiness(const engine::Stats& stats, packages::Blobs& blobs, std::filesystem::path store, std::uint64_t low,
            const Clock& clock)
      : stats_(stats), blobs_(blobs), store_(std::move(store)), low_(low), clock_(clock) {}

  void look();      // called by one thread; may block
  Now now() const;  // any thread

 private:
  // State of one disk, so that a warning is given once.
  struct Watch {
    const char* place;
    bool low = false;
  };
  void tell_change(const Now& before, const Now& now) const;
  void tell_low(Watch& watch, const std::optional<packages::Space>& space) const;
  bool one_disk() const;

  const engine::Stats& stats_;
  packages::Blobs& blobs_;
  const std::filesystem::path store_;
  const std::uint64_t low_;
  const Clock& clock_;
  Watch store_watch_{"store"}, files_watch_{"files"};
  mutable std::mutex mutex_;
  Now now_;
  Millis looked_at_ = 0;  // monotonic; 0: not yet
};

}  // namespace geres::hub::api
