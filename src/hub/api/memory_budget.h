// SPDX-License-Identifier: Apache-2.0
// How much memory large bodies, or large answers, may use in all, and how much of it one caller's may. A caller that
// finds no room has to come back later, so a client that moves its bytes slowly does not harm others.
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
  // Less than this is not counted: even one per connection does no harm.
  static constexpr std::int64_t kSmall = 64LL << 10;
  struct Limits {
    std::int64_t all = 0;   // bytes
    std::int64_t each = 0;  // of one caller
  };

  // The memory is given back when this is destroyed.
  class Room {
   public:
    Room(MemoryBudget& budget, Uuid caller, std::int64_t bytes) : budget_(budget), caller_(caller), bytes_(bytes) {}
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;
    ~Room() { resize(0); }
    void resize(std::int64_t bytes);  // ignores the limits, since the memory is already in use

   private:
    MemoryBudget& budget_;
    const Uuid caller_;
    std::int64_t bytes_;
  };
  using RoomPtr = std::unique_ptr<Room>;

  explicit MemoryBudget(Limits limits) : limits_(limits) {}

  RoomPtr take(Uuid caller, std::int64_t bytes);           // nullptr: no room now
  RoomPtr take_for_sure(Uuid caller, std::int64_t bytes);  // for what can no longer be refused

  // Called, quickly and on any thread, when much was taken and nearly all of it has come back: a good moment to return
  // memory to the system, which an allocator does not do by itself.
  void on_drained(std::function<void()> drained) { drained_ = std::move(drained); }

 private:
  static constexpr std::int64_t kMuch = 32LL << 20;

  void change(Uuid caller, std::int64_t by);
  void add(Uuid caller, std::int64_t by);  // call it with mutex_ held

  const Limits limits_;
  std::function<void()> drained_;  // set before the first take()
  std::mutex mutex_;
  std::int64_t taken_ = 0;
  std::int64_t most_ = 0;  // since the last call of drained_
  std::unordered_map<Uuid, std::int64_t> by_caller_;
};

}  // namespace geres::hub::api
