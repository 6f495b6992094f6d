// SPDX-License-Identifier: Apache-2.0
// What happened, line by line; kept only when somebody wants to read it.
#pragma once

#include <fmt/format.h>

#include <deque>
#include <string>

#include "simulation/timeline.h"

namespace geres::simulation {

class Trace {
 public:
  Trace(const Timeline& timeline, bool on) : timeline_(timeline), on_(on) {}
  template <class... T>
  void operator()(fmt::format_string<T...> format, T&&... values) {
    if (on_) lines_.push_back(fmt::format("{:8} {}", timeline_.now(), fmt::format(format, std::forward<T>(values)...)));
  }
  bool on() const { return on_; }
  const std::deque<std::string>& lines() const { return lines_; }

 private:
  const Timeline& timeline_;
  bool on_;
  std::deque<std::string> lines_;
};

// The end of an id: what is random in it.
inline std::string brief(Uuid id) {
  return id.str().substr(24);
}

}  // namespace geres::simulation
