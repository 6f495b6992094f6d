// SPDX-License-Identifier: Apache-2.0
// A pool, a machine and a decision of the API in words, and how a pool went over time as a small chart. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"

namespace geres::cli {

std::string pool_mode(const json::value& pool);         // "act", "observe", "paused", "by hand", "removing"
std::string policy_words(const json::value& pool);      // "messageWaitingTime 30s"
std::string machine_counts(const json::value& pool);    // "3 ready 1 booting"; "none"
std::string change_words(const json::value& decision);  // "order 2, drain 1"; empty: nothing was to be done

// A figure over time: each value holds until the next one. Before the first it is unknown.
struct Curve {
  std::string name;
  std::vector<std::pair<Millis, double>> values;
};

// One column for each part of the time, as high as the most in it; blank where it is unknown. `most`: the top.
std::string curve_line(const Curve& curve, Millis from, Millis to, std::size_t columns, double most);

// Of one pool's decisions, oldest first: what waits, hosts wanted, hosts there. Empty if there are none.
std::vector<std::string> pool_chart(const json::array& decisions, Millis from, Millis to, std::size_t width);

}  // namespace geres::cli
