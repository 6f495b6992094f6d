// SPDX-License-Identifier: Apache-2.0
#include "objects/calls.h"

#include <exception>
#include <optional>

namespace geres::objects {
namespace {

constexpr std::size_t kLoopsKept = 16;

transport::Options once(transport::Options options) {
  options.patience = 0;
  options.http1 = true;
  return options;
}

}  // namespace

Calls::Calls(transport::Options options) : options_(once(std::move(options))) {
  transport::Loop::prepare();
}

std::unique_ptr<transport::Loop> Calls::take() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::make_unique<transport::Loop>(options_);
  auto loop = std::move(idle_.back());  // the one used last, whose connections are the freshest
  idle_.pop_back();
  return loop;
}

void Calls::give_back(std::unique_ptr<transport::Loop> loop) {
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kLoopsKept) idle_.push_back(std::move(loop));
}

transport::Answer<transport::Reply> Calls::make(transport::Call call) {
  std::exception_ptr thrown;
  if (call.sink)
    call.sink = [&thrown, sink = std::move(call.sink)](std::string_view piece) {
      try {
        return sink(piece);
      } catch (...) {
        thrown = std::current_exception();
        return transport::Take::enough;
      }
    };
  auto loop = take();
  std::optional<transport::Answer<transport::Reply>> answer;
  loop->start(std::move(call), [&](auto got) { answer.emplace(std::move(got)); });
  while (!answer) loop->turn(1'000);
  give_back(std::move(loop));
  if (thrown) std::rethrow_exception(thrown);
  return std::move(*answer);
}

}  // namespace geres::objects
