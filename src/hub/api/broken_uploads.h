// SPDX-License-Identifier: Apache-2.0
// Artifacts whose upload broke off: what has arrived is kept for a while, so that the host goes on where it was.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/uuid.h"
#include "hub/packages/blobs.h"

namespace geres::hub::api {

// Any thread.
class BrokenUploads {
 public:
  void keep(Uuid lease, std::string sha256, std::unique_ptr<packages::Upload> upload, Millis now);
  std::uint64_t received(Uuid lease, const std::string& sha256, Millis now);  // 0: nothing is kept
  // What is kept if it is so long, else null; it is no longer kept then.
  std::unique_ptr<packages::Upload> take(Uuid lease, const std::string& sha256, std::uint64_t received, Millis now);
  void prune(Millis now);  // lets go of what nobody came back for

 private:
  struct Kept {
    Uuid lease;
    std::string sha256;
    std::unique_ptr<packages::Upload> upload;
    Millis until = 0;  // monotonic, as `now`
  };
  std::list<Kept>::iterator find(Uuid lease, const std::string& sha256);

  std::mutex mutex_;
  std::list<Kept> kept_;  // oldest first
};

}  // namespace geres::hub::api
