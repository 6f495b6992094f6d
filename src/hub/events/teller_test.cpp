// SPDX-License-Identifier: Apache-2.0
#include "hub/events/teller.h"

#include <gtest/gtest.h>

namespace geres::hub::events {
namespace {

TEST(Teller, TellsOfAGapWithTheSameIdEachTime) {
  const Gap gap{event_id("abc", 3), event_id("abc", 9)};
  EXPECT_EQ(gap.id(), "abc-9-gap");
  EXPECT_EQ(gap.data(), R"({"after":"abc-3","until":"abc-9"})");
  EXPECT_EQ(
      gap.event(0),
      R"({"specversion":"1.0","id":"abc-9-gap","source":"/v1","type":"geres.gap","time":"1970-01-01T00:00:00.000Z",)"
      R"("datacontenttype":"application/json","data":{"after":"abc-3","until":"abc-9"}})");
  EXPECT_EQ((Gap{{}, "abc-9"}.data()), R"({"until":"abc-9"})") << "what was before is not known";
}

}  // namespace
}  // namespace geres::hub::events
