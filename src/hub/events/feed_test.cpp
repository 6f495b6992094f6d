// SPDX-License-Identifier: Apache-2.0
#include "hub/events/feed.h"

#include <gtest/gtest.h>

namespace geres::hub::events {
namespace {

store::EventRow event(store::EventType type, Uuid job) {
  store::EventRow row;
  row.type = type;
  row.subject = job;
  return row;
}

TEST(Feed, NudgesWhoeverIsInterestedInThatJob) {
  Feed feed;
  int changed = 0, ended = 0, other = 0;
  const auto a = feed.subscribe({1, 1}, Feed::changed, [&] { ++changed; });
  const auto b = feed.subscribe({1, 1}, Feed::ended, [&] { ++ended; });
  const auto c = feed.subscribe({2, 1}, Feed::changed | Feed::ended | Feed::log, [&] { ++other; });
  feed.publish({event(store::EventType::job_started, {1, 1}), event(store::EventType::job_finished, {1, 1}),
                event(store::EventType::batch_created, {2, 1})});
  EXPECT_EQ(changed, 2);
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(other, 0);
  feed.log_grew({2, 1});
  EXPECT_EQ(other, 1);
}

TEST(Feed, IsQuietAfterASubscriptionEnds) {
  Feed feed;
  int nudges = 0;
  {
    const auto a = feed.subscribe({1, 1}, Feed::changed, [&] { ++nudges; });
    EXPECT_EQ(feed.subscribers(), 1u);
  }
  feed.publish({event(store::EventType::job_finished, {1, 1})});
  EXPECT_EQ(nudges, 0);
  EXPECT_EQ(feed.subscribers(), 0u);
}

}  // namespace
}  // namespace geres::hub::events
