// SPDX-License-Identifier: Apache-2.0
// How pauses grow, and how much of them is chance.
#include "base/backoff.h"

#include <gtest/gtest.h>

#include <set>

namespace geres {
namespace {

TEST(Backoff, GrowsUpToItsLimitAndStaysThere) {
  EXPECT_EQ(grown(0, 100, 2'000), 100);
  EXPECT_EQ(grown(1, 100, 2'000), 100);
  EXPECT_EQ(grown(2, 100, 2'000), 200);
  EXPECT_EQ(grown(5, 100, 2'000), 1'600);
  EXPECT_EQ(grown(6, 100, 2'000), 2'000);
  EXPECT_EQ(grown(1'000'000, 100, 2'000), 2'000);
  EXPECT_EQ(grown(3, 10'000, 7'200'000, 3), 90'000);
  EXPECT_EQ(grown(12, 10'000, 7'200'000, 3), 7'200'000);
  EXPECT_EQ(grown(1, 5'000, 2'000), 2'000);
}

TEST(Backoff, IsHalfToAllOfItByChance) {
  std::minstd_rand chance(7);
  std::set<Millis> seen;
  for (int i = 0; i < 2'000; ++i) seen.insert(jittered(100, chance));
  EXPECT_EQ(*seen.begin(), 50);
  EXPECT_EQ(*seen.rbegin(), 100);
  EXPECT_EQ(seen.size(), 51u) << "and everything between";
  EXPECT_EQ(jittered(0, chance), 0);
  for (int tries = 1; tries < 20; ++tries) {
    const auto pause = backoff(tries, 50, 1'000);
    EXPECT_GE(pause, grown(tries, 50, 1'000) / 2);
    EXPECT_LE(pause, grown(tries, 50, 1'000));
  }
}

}  // namespace
}  // namespace geres
