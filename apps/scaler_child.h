// SPDX-License-Identifier: Apache-2.0
// The scaler that a hub brings along: `geres scaler run` as a child of this process, so that what users' policies and
// providers do cannot hurt the hub. It is started once there is a pool, started again when it ends, and ends with this
// process, however that ends. The hosts that it has made do not: the next one finds them.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"

namespace geres::apps {

class ScalerChild {
 public:
  struct Options {
    std::string hub;                   // as it can be called from here
    std::filesystem::path token_file;  // of an admin
    std::filesystem::path data;        // the hub's
    std::string log_level;
    std::function<bool()> wanted;  // whether there is anything for it to do
  };

  explicit ScalerChild(Options options) : options_(std::move(options)) {}
  ~ScalerChild() { stop(); }
  ScalerChild(const ScalerChild&) = delete;
  ScalerChild& operator=(const ScalerChild&) = delete;

  // To be called often, always from the thread that called it first: with that thread the child ends.
  void look();
  void stop();

 private:
  void start();
  void ended(int status);

  Options options_;
  SystemClock clock_;
  pid_t pid_ = 0;
  Millis started_at_ = 0, look_at_ = 0;
  int tries_ = 0;
  bool said_ = false;
};

// In the child: ends it with its parent. Empty: this process is nobody's child in that sense. Else the name under which
// it is to hold the lease, the same for all children of a hub, so that the next one need not wait for the lease's end.
std::optional<std::string> bound_to_parent();

// Hosts of this machine that come and go with the work: the pool `here`, made or given these limits.
void set_local_pool(const std::string& hub, const std::string& token, int least, int most);

}  // namespace geres::apps
