// SPDX-License-Identifier: Apache-2.0
// What the engine's loop keeps from one tick to the next, beside the state. For engine*.cpp alone.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "hub/engine/command.h"
#include "hub/engine/engine.h"
#include "hub/engine/tick.h"
#include "hub/engine/with_jobs.h"

namespace geres::hub::engine {

// A tick whose commit may or may not have happened, and who waits for it.
struct Doubt {
  std::unique_ptr<Tick> tick;
  std::deque<std::unique_ptr<Command>> commands;
  std::int64_t number = 0;
  Millis since = 0;  // monotonic
};

struct Engine::Clockwork {
  explicit Clockwork(Random& random) : ids(random) {}
  IdSource ids;
  Desk desk;
  Millis anchor_wall = 0;       // wall clock when the engine first loaded
  Millis anchor_monotonic = 0;  // and the monotonic clock then
  Millis paused = 0;            // total of the engine's own pauses
  Millis last_tick = 0;         // monotonic
  Millis last_run = 0;          // likewise: of one that was not for readers alone
  Millis next_sweep = 0;        // monotonic
  Millis failed_until = 0;      // monotonic: the last tick failed, nothing that is due by itself is tried before
  Millis full_until = 0;        // monotonic: space was short, nothing that grows is tried before
  Millis ages = 0;              // see advance_ages()
  Millis ages_at = 0;           // monotonic: when that was so; 0: not yet
  bool loaded = false;
  bool more = false;
  bool stale = false;                  // memory may differ from the store: nothing is done before it is read anew
  Millis load_at = 0, load_pause = 0;  // monotonic: when a store that did not answer is asked again
  std::optional<Doubt> doubt;
};

}  // namespace geres::hub::engine
