// SPDX-License-Identifier: Apache-2.0
// One verb of the engine from a plain thread, which waits for the answer. Never from the engine's own.
#pragma once

#include <future>
#include <memory>

#include "hub/engine/engine.h"

namespace geres::hub::engine {

template <class Verb>
Result<typename Verb::Out> ask_and_wait(Engine& engine, Verb verb) {
  using Out = typename Verb::Out;
  auto promise = std::make_shared<std::promise<Result<Out>>>();
  auto future = promise->get_future();
  engine.ask(std::move(verb), Answer<Out>([promise](Result<Out> answer) { promise->set_value(std::move(answer)); }));
  return future.get();
}

}  // namespace geres::hub::engine
