// SPDX-License-Identifier: Apache-2.0
// What an event tells is stored, read back and told with the bytes that hubs since 0.1.0 have written.
#include "hub/store/event_row.h"

#include <gtest/gtest.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace geres::hub::store {
namespace {

using model::JobState;
using model::Reason;

struct Kind {
  EventType type;
  EventData data;
  std::string text;
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> kKinds{
      {EventType::job_submitted, JobEvent{JobState::scheduled, 1, 0, {}},
       R"({"state":"scheduled","version":1,"attempt":0})"},
      {EventType::job_leased, JobEvent{JobState::leased, 2, 1, AtHost{"w-1"}},
       R"({"state":"leased","version":2,"attempt":1,"host":"w-1"})"},
      {EventType::job_progressed, JobEvent{JobState::running, 4, 1, Progressed{{40, "page \"4\""}}},
       R"({"state":"running","version":4,"attempt":1,"progress":{"percent":40,"message":"page \"4\""}})"},
      {EventType::job_progressed, JobEvent{JobState::running, 4, 1, Progressed{{std::nullopt, "ü"}}},
       R"({"state":"running","version":4,"attempt":1,"progress":{"percent":null,"message":"ü"}})"},
      {EventType::job_retrying, JobEvent{JobState::scheduled, 5, 1, Retrying{1'500, {1, 2, "exit\n7"}}},
       R"({"state":"scheduled","version":5,"attempt":1,"dueAt":"1970-01-01T00:00:01.500Z","failures":1,"hostLosses":2,)"
       R"("error":"exit\n7"})"},
      {EventType::job_failed, JobEvent{JobState::failed, 9, 3, FailedForGood{Reason::maxAttempts, {{3, 0, ""}}}},
       R"({"state":"failed","version":9,"attempt":3,"reason":"maxAttempts","failures":3,"hostLosses":0,"error":""})"},
      {EventType::job_failed, JobEvent{JobState::failed, 2, 0, FailedForGood{Reason::queueTimeout, {}}},
       R"({"state":"failed","version":2,"attempt":0,"reason":"queueTimeout"})"},
      {EventType::batch_closed, BatchEvent{"nightly", model::BatchState::closed, 500, true},
       R"({"name":"nightly","state":"closed","priority":500,"paused":true})"},
      {EventType::batch_completed, BatchCompleted{"nightly"}, R"({"name":"nightly"})"},
      {EventType::host_lost, HostEvent{"w-1", 8}, R"({"name":"w-1","slots":8})"},
      {EventType::scaler_failed, ScalerEvent{"cpu", 3, 1, "no \"quota\"", "providerHeld"},
       R"({"pool":"cpu","wanted":3,"actual":1,"reason":"no \"quota\"","outcome":"providerHeld"})"}};
  return kKinds;
}

TEST(EventRow, IsStoredAndToldAsSinceTheFirstVersion) {
  for (const auto& kind : kinds()) {
    EXPECT_EQ(event_text(kind.data), kind.text);
    EXPECT_EQ(boost::json::serialize(event_json(kind.data)), kind.text);
    EXPECT_EQ(event_data(kind.type, kind.text), kind.data) << kind.text;
  }
}

TEST(EventRow, WhatCannotBeReadTellsNothing) {
  for (const auto* text : {"", "{", "[]", "{}", R"({"state":"ready"})", R"({"state":"asleep","version":1,"attempt":0})",
                           R"({"state":"ready","version":"1","attempt":0})"})
    EXPECT_EQ(event_data(EventType::job_ready, text), EventData()) << text;
  EXPECT_EQ(event_data(EventType::host_left, "{}"), EventData());
  EXPECT_EQ(event_text({}), "");
  EXPECT_TRUE(event_json({}).empty());
}

TEST(EventRow, LeavesOutWhatItDoesNotKnow) {
  EXPECT_EQ(event_data(EventType::job_ready, R"({"state":"ready","version":3,"attempt":1,"later":[1]})"),
            EventData(JobEvent{JobState::ready, 3, 1, {}}));
}

}  // namespace
}  // namespace geres::hub::store
