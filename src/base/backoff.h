// SPDX-License-Identifier: Apache-2.0
// How long to wait before something is tried again: longer each time, and in part by chance, so that those whom one
// outage sent away do not come back all at once.
#pragma once

#include <algorithm>
#include <random>

#include "base/clock.h"

namespace geres {

// Before try number `tries` (1, 2, …): `first`, then `times` as long each, at most `most`.
constexpr Millis grown(int tries, Millis first, Millis most, int times = 2) {
  Millis pause = first;
  for (int i = 1; i < tries && pause < most; ++i) pause *= times;
  return std::min(pause, most);
}

// Half of it to all of it.
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
