// SPDX-License-Identifier: Apache-2.0
// A command on the engine's queue. apply() may run more than once (a refused tick is run again), the answer goes out
// once, after the commit.
#pragma once

#include <cstddef>
#include <optional>

#include "hub/engine/verbs.h"
#include "hub/store/store.h"

namespace geres::hub::engine {

struct State;
struct Tick;

Error not_done();  // for a command whose tick was refused

class Command {
 public:
  virtual ~Command() = default;
  virtual void want(const State&, store::Wanted&) const {}  // what apply() is known to read
  virtual void apply(Tick& tick) = 0;
  virtual void settle(Tick& tick) = 0;                         // the tick is on disk: answer
  virtual void fail(const Error& error) = 0;                   // it will not be done
  virtual std::optional<Error> refusal() const { return {}; }  // by its own checks: then it has changed nothing
  virtual bool grows() const { return false; }                 // makes the store larger: refused while space is short
  virtual std::size_t weight() const { return 1; }             // jobs it brings
};

}  // namespace geres::hub::engine
