// SPDX-License-Identifier: Apache-2.0
// A command on the engine's queue. apply() may run more than once (a refused tick is run again), the answer goes out
// once, after the commit.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "hub/engine/verbs.h"

namespace geres::hub::engine {

struct Tick;

Error not_done();  // for a command whose tick was refused

class Command {
 public:
  virtual ~Command() = default;
  virtual void apply(Tick& tick) = 0;
  virtual void settle(Tick& tick) = 0;                         // the tick is on disk: answer
  virtual void fail(const Error& error) = 0;                   // it will not be done
  virtual std::optional<Error> refusal() const { return {}; }  // by its own checks: then it has changed nothing
  virtual bool grows() const { return false; }                 // makes the store larger: refused while space is short
  virtual std::size_t weight() const { return 1; }             // jobs it brings
};

// A verb with one answer at the end of its tick.
template <class Out>
class Call final : public Command {
 public:
  using Verb = std::function<Result<Out>(Tick&)>;
  Call(Verb verb, Answer<Out> answer, bool grows = false, std::size_t weight = 1)
      : verb_(std::move(verb)), answer_(std::move(answer)), grows_(grows), weight_(weight) {}
  void apply(Tick& tick) override { result_.emplace(verb_(tick)); }
  void settle(Tick&) override { answer_(std::move(*result_)); }
  void fail(const Error& error) override { answer_(error); }
  std::optional<Error> refusal() const override {
    return result_ && !*result_ ? std::optional(result_->error()) : std::nullopt;
  }
  bool grows() const override { return grows_; }
  std::size_t weight() const override { return weight_; }

 private:
  Verb verb_;
  Answer<Out> answer_;
  const bool grows_;
  const std::size_t weight_;
  std::optional<Result<Out>> result_;
};

}  // namespace geres::hub::engine
