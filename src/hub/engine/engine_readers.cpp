// SPDX-License-Identifier: Apache-2.0
// What readers get of the engine: one snapshot for all that have asked, between two ticks, and not so often that ticks
// would suffer.
#include "base/log.h"
#include "hub/engine/engine.h"

namespace geres::hub::engine {

void Engine::snapshot(Answer<SnapshotPtr> answer) {
  std::unique_lock lock(queue_mutex_);
  if (!accepting_) {
    lock.unlock();
    return answer(fail(Code::unavailable, "the hub is stopping"));
  }
  readers_.push_back(std::move(answer));
  queue_filled_.notify_one();
}

bool Engine::anything_queued() const {
  const std::lock_guard lock(queue_mutex_);
  return !queue_.empty() || !readers_.empty();
}

// With the queue locked.
bool Engine::readers_due() const {
  return !readers_.empty() && (!accepting_ || std::chrono::steady_clock::now() >= next_snapshot_);
}

bool Engine::only_readers() const {
  const std::lock_guard lock(queue_mutex_);
  return readers_due() && queue_.empty() && !woken_;
}

void Engine::answer_readers() {
  std::vector<Answer<SnapshotPtr>> readers;
  {
    const std::lock_guard lock(queue_mutex_);
    if (!readers_due()) return;
    readers.swap(readers_);
  }
  const auto before = std::chrono::steady_clock::now();
  Result<SnapshotPtr> made = SnapshotPtr();
  try {
    if (in_step())
      made = make_snapshot();
    else
      made = fail(Code::unavailable, "the store does not answer");
  } catch (const store::StoreFailed& failed) {  // the next tick finds out what that means for the engine
    log::warn("no snapshot for those who read: {}", failed.what());
    made = fail(Code::unavailable, "the store does not answer");
  }
  const auto after = std::chrono::steady_clock::now();
  {
    // A twentieth of the engine's time; what costs next to nothing may be had at any time.
    constexpr auto kCheap = std::chrono::microseconds(200);
    const std::lock_guard lock(queue_mutex_);
    next_snapshot_ = after - before > kCheap ? after + 19 * (after - before) : after;
  }
  ++stats_.snapshots;
  for (auto& reader : readers) reader(made);
}

}  // namespace geres::hub::engine
