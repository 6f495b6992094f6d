// SPDX-License-Identifier: Apache-2.0
// A policy that does what its settings say, which is seldom good.
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <thread>
#include <vector>

#include "geres/policy.h"

namespace {

class Misbehaving : public geres::policy::Policy {
 public:
  explicit Misbehaving(const geres::policy::Json& settings) : how_(settings["how"].text()) {
    if (how_ == "refuse") throw std::runtime_error("I do not like these settings");
  }

  geres::policy::Wanted decide(const geres::policy::Load& load) override {
    if (how_ == "crash") {
      std::signal(SIGSEGV, SIG_DFL);  // a sanitizer would make an exit of it
      std::raise(SIGSEGV);
    }
    if (how_ == "hang") std::this_thread::sleep_for(std::chrono::hours(1));
    if (how_ == "spin")
      for (volatile bool on = true; on;) {
      }
    if (how_ == "exit") std::_Exit(0);
    if (how_ == "throw") throw std::runtime_error("no idea");
    if (how_ == "throw 5") throw 5;
    if (how_ == "chatter") std::cout << "{\"hosts\": 99}" << std::endl;
    if (how_ == "memory") {
      std::vector<char> much(std::size_t(10) << 30, 'x');
      return {std::int64_t(much[much.size() / 2]), {}};
    }
    if (how_ == "minus") return {-5, {}};
    if (how_ == "billion") return {1'000'000'000, {}};
    if (how_ == "long") return {1, std::string(100'000, 'x')};
    return {load.demand.runnable.jobs, "one each"};
  }

 private:
  std::string how_;
};

}  // namespace

GERES_POLICY(Misbehaving)
