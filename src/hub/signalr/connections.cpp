// SPDX-License-Identifier: Apache-2.0
#include "hub/signalr/connections.h"

#include "base/bytes.h"
#include "base/file.h"

namespace geres::hub::signalr {

void Ringer::ring() {
  const std::lock_guard lock(mutex_);
  bell_.ring();
}

http::Bell Ringer::renew() {
  const std::lock_guard lock(mutex_);
  bell_.ring();
  return bell_ = http::Bell();
}

Entry::Turn Entry::take_over() {
  left_at_ = http::kForever;
  const auto number = ++turn_;
  return {number, ringer_->renew()};  // the request that waits sees that its turn is over
}

void Entry::leave(std::int64_t number, Millis now) {
  if (is_turn(number)) left_at_ = now;
}

std::shared_ptr<Entry> Connections::open(Uuid caller, Millis now, const Make& make) {
  auto entry = std::make_shared<Entry>();
  entry->token = random_hex(16);
  entry->caller = caller;
  entry->left_at_ = now;
  entry->connection = make([ringer = entry->ringer_] { ringer->ring(); });
  const std::lock_guard lock(mutex_);
  forget_left(now);
  std::size_t waiting = 0;
  if (entries_.size() >= kWaitingMax)
    for (const auto& [token, other] : entries_) waiting += other->left_at() != http::kForever ? 1 : 0;
  if (waiting >= kWaitingMax) return nullptr;
  entries_[entry->token] = entry;
  return entry;
}

std::shared_ptr<Entry> Connections::find(const std::string& token, Uuid caller) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(token);
  return found != entries_.end() && found->second->caller == caller ? found->second : nullptr;
}

void Connections::remove(const std::string& token) {
  std::shared_ptr<Entry> gone;  // destroyed outside of the lock, because its readers leave the log then
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(token);
  if (found == entries_.end()) return;
  gone = std::move(found->second);
  entries_.erase(found);
}

std::size_t Connections::count() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

void Connections::forget_left(Millis now) {
  std::erase_if(entries_, [now](const auto& entry) {
    const Millis left = entry.second->left_at();
    return left != http::kForever && now - left > kLeftMax;
  });
}

}  // namespace geres::hub::signalr
