// SPDX-License-Identifier: Apache-2.0
// Whether a host is well, as far as can be told from what becomes of its attempts: one that cannot start jobs has free
// slots all the time and would draw one job after the other. So one that gave back three in a row before they started,
// or that fails clearly more than its peers, rests: one second, doubled each time up to a minute. Then it is tried with
// one job, and the first that starts makes it well. What a host says of itself counts as well, where it is worse.
//
// One thread. Times are milliseconds on the monotonic clock. Not kept over a restart of the hub, or of the host.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "base/clock.h"
#include "model/batch.h"

namespace geres::hub::engine {

class HostHealth {
 public:
  static constexpr Millis kRestMin = 1'000, kRestMax = 60'000;
  static constexpr int kInARow = 3;
  static constexpr int kRecent = 20, kRecentMin = 10;  // ends that are compared with those of its peers

  // The last ends of attempts, and how many of them were the host's fault.
  struct Ends {
    int all = 0, bad = 0;
  };

  // An attempt could not be started. True: the host has begun to rest.
  bool could_not_start(const std::string& reason, Millis now) {
    count(true);
    return ++in_a_row_ >= kInARow && rest(reason, now);
  }
  // An attempt that had started was lost. True likewise.
  bool lost(const std::string& reason, const Ends& peers, Millis now) {
    count(true);
    return worse_than(peers) && rest(reason, now);
  }
  void ended_well() { count(false); }
  // True: it was not well until now.
  bool started() {
    in_a_row_ = 0;
    return std::exchange(rest_, 0) > 0;
  }
  // What the host says of itself: until when it takes nothing. `well` takes back what it said before.
  void told(model::Health health, std::string reason, Millis until) { told_ = {health, std::move(reason), until}; }

  bool grants(Millis now) const { return told_.health == model::Health::well && now >= until(); }
  // Rested, but not seen to start anything since: one job at a time.
  bool on_trial(Millis now) const { return rest_ > 0 && now >= until_; }

  model::Health state() const { return std::max(told_.health, own()); }
  const std::string& reason() const { return told_.health >= own() ? told_.reason : reason_; }
  // When it is tried again; 0: it is well.
  Millis until() const {
    return std::max(told_.health == model::Health::well ? 0 : told_.until, rest_ > 0 ? until_ : 0);
  }

  Ends recent() const {
    Ends ends{recent_, 0};
    for (int i = 0; i < recent_; ++i) ends.bad += int(ends_ >> i & 1);
    return ends;
  }

 private:
  struct Told {
    model::Health health = model::Health::well;
    std::string reason;
    Millis until = 0;
  };

  // One that was tried again and again in vain wants looking after.
  model::Health own() const {
    return rest_ == 0 ? model::Health::well : rest_ < kRestMax ? model::Health::resting : model::Health::unfit;
  }
  void count(bool bad) {
    ends_ = ends_ << 1 | std::uint32_t(bad);
    recent_ = std::min(recent_ + 1, kRecent);
  }
  // At least half of its own are bad, and four times the share of theirs.
  bool worse_than(const Ends& peers) const {
    const Ends own = recent();
    return own.all >= kRecentMin && peers.all >= kRecentMin && 2 * own.bad >= own.all &&
           own.bad * peers.all >= 4 * peers.bad * own.all;
  }
  // Several attempts that fail at once are one trouble.
  bool rest(const std::string& reason, Millis now) {
    reason_ = reason;
    if (rest_ > 0 && now < until_) return false;
    rest_ = std::clamp(2 * rest_, kRestMin, kRestMax);
    until_ = now + rest_;
    recent_ = 0;
    return true;
  }

  int in_a_row_ = 0;
  Millis rest_ = 0, until_ = 0;  // 0: well
  std::string reason_;
  std::uint32_t ends_ = 0;  // a bit each, the newest lowest; set: bad
  int recent_ = 0;          // how many of them count
  Told told_;
};

}  // namespace geres::hub::engine
