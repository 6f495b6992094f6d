// SPDX-License-Identifier: Apache-2.0
// Who waits for news of a job: long polls and log followers. Only a nudge, no data: whoever is nudged reads the store,
// where what happened is on disk already.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "hub/store/rows.h"

namespace geres::hub::events {

// Any thread. A nudge is called on the thread that publishes: it must be quick and must not call back into the feed.
class Feed {
 public:
  using Nudge = std::function<void()>;
  enum Interest : unsigned { ended = 1, changed = 2, log = 4 };  // or-ed

  // Ends when it is destroyed; no nudge runs after that.
  class Subscription {
   public:
    Subscription(Subscription&& other) noexcept;
    Subscription& operator=(Subscription&&) = delete;
    ~Subscription();

   private:
    friend class Feed;
    Subscription(Feed& feed, Uuid job, std::uint64_t number) : feed_(&feed), job_(job), number_(number) {}
    Feed* feed_;
    Uuid job_;
    std::uint64_t number_;
  };

  [[nodiscard]] Subscription subscribe(Uuid job, unsigned interests, Nudge nudge);
  void publish(const std::vector<store::EventRow>& events);
  void log_grew(Uuid job) { nudge(job, log); }
  std::size_t subscribers() const { return subscribers_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    std::uint64_t number = 0;
    unsigned interests = 0;
    Nudge nudge;
  };
  struct Shard {
    std::mutex mutex;
    std::unordered_map<Uuid, std::vector<Entry>> entries;
  };
  static constexpr std::size_t kShards = 16;

  Shard& shard(Uuid job) { return shards_[std::hash<Uuid>()(job) % kShards]; }
  void nudge(Uuid job, unsigned interests);
  void unsubscribe(Uuid job, std::uint64_t number);

  std::array<Shard, kShards> shards_;
  std::atomic<std::size_t> subscribers_ = 0;
  std::atomic<std::uint64_t> numbers_ = 0;
};

}  // namespace geres::hub::events
