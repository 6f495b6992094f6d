// SPDX-License-Identifier: Apache-2.0
// What was sent and is not accepted yet, in the order of the log. The cursor passes an event when it and all before it
// were accepted; after trouble all that it has not passed is sent anew.
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

  // A message that is sent now; `at`: where the cursor stands once it was accepted. Its tag, never given twice.
  std::uint64_t add(store::EventNo at);
  // The event of a message that is waited for; nullopt: it was accepted, or was sent before a retreat.
  std::optional<store::EventNo> waits(std::uint64_t tag) const;
  void accept(std::uint64_t tag);
  // Nothing is waited for any more.
  void retreat();

  store::EventNo cursor() const { return cursor_; }
  std::size_t size() const { return sent_.size(); }  // not passed by the cursor

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
