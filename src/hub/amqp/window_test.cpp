// SPDX-License-Identifier: Apache-2.0
// The cursor moves over accepted messages only, whatever the order of their outcomes.
#include "hub/amqp/window.h"

#include <gtest/gtest.h>

namespace geres::hub::amqp {
namespace {

TEST(AmqpWindow, TheCursorIsTheEndOfWhatWasAcceptedWithoutAHole) {
  Window window(10);
  const auto a = window.add(11), b = window.add(12), c = window.add(20);
  EXPECT_EQ(window.cursor(), 10);
  window.accept(b);
  EXPECT_EQ(window.cursor(), 10);
  EXPECT_EQ(window.size(), 3u);
  window.accept(a);
  EXPECT_EQ(window.cursor(), 12);
  EXPECT_EQ(window.size(), 1u);
  window.accept(a);  // once more, which changes nothing
  EXPECT_EQ(window.cursor(), 12);
  window.accept(c);
  EXPECT_EQ(window.cursor(), 20);
  EXPECT_EQ(window.size(), 0u);
}

TEST(AmqpWindow, WhatWasSentBeforeARetreatCountsNoMore) {
  Window window(0);
  const auto a = window.add(1), b = window.add(2);
  window.accept(a);
  window.retreat();
  EXPECT_EQ(window.size(), 0u);
  const auto again = window.add(2);
  EXPECT_NE(again, b);
  EXPECT_EQ(window.waits(b), std::nullopt);
  EXPECT_EQ(window.waits(again), 2);
  window.accept(b);
  EXPECT_EQ(window.cursor(), 1);
  window.accept(again);
  EXPECT_EQ(window.cursor(), 2);
  EXPECT_EQ(window.waits(again), std::nullopt);
  EXPECT_EQ(window.waits(again + 1), std::nullopt);
  EXPECT_EQ(window.waits(0), std::nullopt);
}

}  // namespace
}  // namespace geres::hub::amqp
