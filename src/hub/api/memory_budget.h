// SPDX-License-Identifier: Apache-2.0
// How much memory large bodies, or large answers, may take in all, and how much of it one caller's. Whoever finds no
// room comes back later; so a client that sends or takes its bytes slowly is nobody else's trouble.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "base/uuid.h"

namespace geres::hub::api {

// Any thread. Must outlive its rooms.
class MemoryBudget {
 public:
  static constexpr std::int64_t kSmall = 64LL << 10;  // as many of these as there are connections are no trouble
  struct Limits {
    std::int64_t all = 0;   // bytes
    std::int64_t each = 0;  // of one caller
  };

  // Given back when it is destroyed.
  class Room {
   public:
    Room(MemoryBudget& budget, Uuid caller, std::int64_t bytes) : budget_(budget), caller_(caller), bytes_(bytes) {}
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;
    ~Room() { resize(0); }
    void resize(std::int64_t bytes);  // whatever the limits are: the memory is taken already

   private:
    MemoryBudget& budget_;
    const Uuid caller_;
    std::int64_t bytes_;
  };
  using RoomPtr = std::unique_ptr<Room>;

  explicit MemoryBudget(Limits limits) : limits_(limits) {}

  RoomPtr take(Uuid caller, std::int64_t bytes);           // nullptr: no room now
  RoomPtr take_for_sure(Uuid caller, std::int64_t bytes);  // for what cannot be refused any more

  // Called, quickly and on any thread, when much was taken and nearly all of it has come back: a good moment to give
  // memory back to the system, which an allocator does not do by itself.
  void on_drained(std::function<void()> drained) { drained_ = std::move(drained); }

 private:
  static constexpr std::int64_t kMuch = 32LL << 20;

  void change(Uuid caller, std::int64_t by);
  void add(Uuid caller, std::int64_t by);  // mutex_ is held

  const Limits limits_;
  std::function<void()> drained_;  // set before the first take()
  std::mutex mutex_;
  std::int64_t taken_ = 0;
  std::int64_t most_ = 0;  // since it was drained
  std::unordered_map<Uuid, std::int64_t> by_caller_;
};

}  // namespace geres::hub::api
