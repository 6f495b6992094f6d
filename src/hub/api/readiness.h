// SPDX-License-Identifier: Apache-2.0
// Whether the hub takes jobs, and if not why, as far as the disk is to blame: the store has no room, or the place of
// the files is gone. Looked at once a second by a thread of the hub, so that asking costs nothing and waits for no disk
// that does not answer; told to the log when it changes, not while it lasts.
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
    bool files_away = false;               // then no job is taken: it could not start
    std::string why;                       // unless it does: a sentence without a path, for everybody
    std::optional<packages::Space> store;  // of the disks; empty: they do not answer
    std::optional<packages::Space> files;
  };

  // `low`: bytes below which the log says that a disk is getting full.
  Readiness(const engine::Stats& stats, packages::Blobs& blobs, std::filesystem::path store, std::uint64_t low,
            const Clock& clock)
      : stats_(stats), blobs_(blobs), store_(std::move(store)), low_(low), clock_(clock) {}

  void look();      // by one thread; may block
  Now now() const;  // any thread

 private:
  // Of one disk that is getting full, so that it is said once.
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
