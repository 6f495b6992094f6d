// SPDX-License-Identifier: Apache-2.0
#include "hub/amqp/window.h"

namespace geres::hub::amqp {

std::uint64_t Window::add(store::EventNo at) {
  sent_.push_back({at, false});
  return first_ + sent_.size() - 1;
}

std::optional<store::EventNo> Window::waits(std::uint64_t tag) const {
  if (tag < first_ || tag >= first_ + sent_.size()) return std::nullopt;
  const auto& sent = sent_[tag - first_];
  return sent.accepted ? std::nullopt : std::optional(sent.at);
}

void Window::accept(std::uint64_t tag) {
  if (!waits(tag)) return;
  sent_[tag - first_].accepted = true;
  while (!sent_.empty() && sent_.front().accepted) {
    cursor_ = sent_.front().at;
    sent_.pop_front();
    ++first_;
  }
}

void Window::retreat() {
  first_ += sent_.size();
  sent_.clear();
}

}  // namespace geres::hub::amqp
