// SPDX-License-Identifier: Apache-2.0
// What any store must do, part five: cursors of those who read the event log.
#pragma once

#include "hub/store/store_fixture.h"

namespace geres::hub::store::contract {

TEST_P(StoreContract, KeepsCursorsByName) {
  EXPECT_EQ(reads().cursor("amqp"), std::nullopt);
  const auto job = new_job();
  Changes changes;
  changes.events = {event(1, job.id), event(2, job.id)};
  changes.cursors = {{"amqp", "log-a", 1}, {"other", "log-a", 2}};
  EXPECT_FALSE(changes.empty());
  tick(changes);
  EXPECT_EQ(reads().cursor("amqp"), (CursorRow{"amqp", "log-a", 1}));
  changes = {};
  changes.cursors = {{"amqp", "log-b", 2}};
  EXPECT_FALSE(changes.empty());
  tick(changes);
  reopen();
  EXPECT_EQ(reads().cursor("amqp"), (CursorRow{"amqp", "log-b", 2}));
  EXPECT_EQ(reads().cursor("other"), (CursorRow{"other", "log-a", 2}));
  inside([&] {
    store->apply({.cursors = {{"amqp", "log-b", 1}}});
    return true;
  });
  EXPECT_EQ(reads().cursor("amqp")->at, 2) << "what was taken back does not count";
}

}  // namespace geres::hub::store::contract
