// SPDX-License-Identifier: Apache-2.0
// How long to wait before something is tried again: longer each time, and partly random, so that all those who met the
// same outage do not return at the same moment.
#pragma once

#include <algorithm>
#include <random>

#include "base/clock.h"

namespace geres {

// The longest pause before try number `tries` (1, 2, …): `first`, then `times` as long each time, at most `most`.
constexpr Millis grown(int tries, Millis first, Millis most, int times = 2) {
  Millis pause = first;
  for (int i = 1; i < tries && pause < most; ++i) pause *= times;
  return std::min(pause, most);
}

// The pause itself: a random part of `grown`, at least half of it.
template <class Chance>
Millis jittered(Millis pause, Chance& chance) {
  return std::uniform_int_distribution<Millis>(pause / 2, pause)(chance);
}

// Any thread.
inline Millis backoff(int tries, Millis first, Millis most, int times = 2) {
  static thread_local std::minstd_rand chance{std::random_device{}()};
  return jittered(grown(tries, first, most, times), chance);
}

}  // namespace geres
