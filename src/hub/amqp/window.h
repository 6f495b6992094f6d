// SPDX-License-Identifier: Apache-2.0
// What was sent and not yet accepted, in the order of the log. The cursor passes an event when it and all before it
// were accepted; after trouble everything that it has not passed is sent again.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "hub/store/rows.h"

namespace geres::hub::amqp {

// One thread.
class Window {
 public:
  explicit Window(store::EventNo at = 0) : cursor_(at) {}

  // Adds a message that is being sent; `at` is the cursor's position once it is accepted. Returns its tag, which is
  // never given twice.
  std::uint64_t add(store::EventNo at);
  // The event of a message whose outcome is awaited; nullopt: it was accepted, or was sent before a retreat.
  std::optional<store::EventNo> waits(std::uint64_t tag) const;
  void accept(std::uint64_t tag);
  // Forgets everything that was sent.
  void retreat();

  store::EventNo cursor() const { return cursor_; }
  std::size_t size() const { return sent_.size(); }  // not yet passed by the cursor

 private:
  struct Sent {
    store::EventNo at = 0;
    bool accepted = false;
  };
  store::EventNo cursor_;
  std::uint64_t first_ = 1;  // tag of sent_.front()
  std::deque<Sent> sent_;
};

}  // namespace geres::hub::amqp
