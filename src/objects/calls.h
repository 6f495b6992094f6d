// SPDX-License-Identifier: Apache-2.0
// HTTP calls that block, from any thread: each is driven by the thread that makes it, on a loop of its own while it
// lasts, so that one object's bytes never wait for another's. Connections are kept for the calls that follow.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "transport/loop.h"

namespace geres::objects {

class Calls {
 public:
  explicit Calls(transport::Options options);
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  // Once: trying again is the caller's. What the call's sink throws, this throws.
  transport::Answer<transport::Reply> make(transport::Call call);

 private:
  std::unique_ptr<transport::Loop> take();
  void give_back(std::unique_ptr<transport::Loop> loop);

  transport::Options options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<transport::Loop>> idle_;
};

}  // namespace geres::objects
