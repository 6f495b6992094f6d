// SPDX-License-Identifier: Apache-2.0
#include "hub/api/memory_budget.h"

#include <algorithm>

namespace geres::hub::api {

void MemoryBudget::Room::resize(std::int64_t bytes) {
  if (bytes == bytes_) return;
  budget_.change(caller_, bytes - bytes_);
  bytes_ = bytes;
}

MemoryBudget::RoomPtr MemoryBudget::take(Uuid caller, std::int64_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    const auto own = by_caller_.find(caller);
    const std::int64_t has = own == by_caller_.end() ? 0 : own->second;
    if (taken_ + bytes > limits_.all || has + bytes > limits_.each) return nullptr;
    add(caller, bytes);
  }
  return std::make_unique<Room>(*this, caller, bytes);
}

MemoryBudget::RoomPtr MemoryBudget::take_for_sure(Uuid caller, std::int64_t bytes) {
  auto room = std::make_unique<Room>(*this, caller, 0);
  room->resize(bytes);
  return room;
}

void MemoryBudget::add(Uuid caller, std::int64_t by) {
  taken_ += by;
  most_ = std::max(most_, taken_);
  const auto own = by_caller_.try_emplace(caller).first;
  own->second += by;
  if (own->second == 0) by_caller_.erase(own);
}

void MemoryBudget::change(Uuid caller, std::int64_t by) {
  bool drained = false;
  {
    const std::lock_guard lock(mutex_);
    add(caller, by);
    drained = most_ >= kMuch && taken_ <= most_ / 8;
    if (drained) most_ = taken_;
  }
  if (drained && drained_) drained_();
}

}  // namespace geres::hub::api
