// SPDX-License-Identifier: Apache-2.0
// Messages as a receiver decodes them from bytes.
#include "hub/amqp/message.h"

#include <gtest/gtest.h>

#include <map>
#include <proton/codec/map.hpp>
#include <proton/message_id.hpp>
#include <proton/scalar.hpp>
#include <proton/timestamp.hpp>
#include <proton/types.hpp>
#include <proton/value.hpp>

#include "model/batch.h"

namespace geres::hub::amqp {
namespace {

constexpr Millis kAt = 1'700'000'000'123;

proton::message sent(const proton::message& message) {
  proton::message arrived;
  arrived.decode(message.encode());
  return arrived;
}

std::map<std::string, std::string> properties(const proton::message& message) {
  std::map<std::string, proton::scalar> found;
  proton::get(message.properties().value(), found);
  std::map<std::string, std::string> texts;
  for (const auto& [name, value] : found) texts[name] = proton::to_string(value);
  return texts;
}

std::string body(const proton::message& message) {
  const auto bytes = proton::get<proton::binary>(message.body());
  return {bytes.begin(), bytes.end()};
}

store::EventRow row(store::EventType type) {
  store::EventRow event;
  event.no = 17;
  event.type = type;
  event.subject = Uuid{0x0190'0000'0000'7000, 0x8000'0000'0000'0001};
  event.tenant = "acme";
  event.at = kAt;
  return event;
}

TEST(AmqpMessage, OfAJobsEvent) {
  auto event = row(store::EventType::job_finished);
  event.batch = Uuid{0x0190'0000'0000'7000, 0x8000'0000'0000'0002};
  const auto message = sent(event_message("abc", event, R"({"id":"x"})"));
  EXPECT_EQ(proton::to_string(message.id()), "abc-17");
  EXPECT_EQ(message.subject(), "geres.job.finished");
  EXPECT_EQ(message.content_type(), "application/json");
  EXPECT_EQ(message.creation_time().milliseconds(), kAt);
  EXPECT_EQ(message.group_id(), event.subject.str());
  EXPECT_TRUE(message.durable());
  EXPECT_TRUE(message.inferred()) << "a data section";
  EXPECT_EQ(body(message), R"({"id":"x"})");
  const std::map<std::string, std::string> expected{{"cloudEvents_specversion", "1.0"},
                                                    {"cloudEvents_id", "abc-17"},
                                                    {"cloudEvents_source", "/v1"},
                                                    {"cloudEvents_type", "geres.job.finished"},
                                                    {"cloudEvents_subject", event.subject.str()},
                                                    {"cloudEvents_time", std::to_string(kAt)},
                                                    {"cloudEvents_tenant", "acme"},
                                                    {"type", "geres.job.finished"},
                                                    {"tenant", "acme"},
                                                    {"jobId", event.subject.str()},
                                                    {"batchId", event.batch.str()}};
  EXPECT_EQ(properties(message), expected);
  EXPECT_EQ(message.properties().get("cloudEvents_time").type(), proton::TIMESTAMP);
}

TEST(AmqpMessage, OfOtherEvents) {
  const auto job = properties(sent(event_message("abc", row(store::EventType::job_submitted), "{}")));
  EXPECT_EQ(job.at("batchId"), "batch0");
  const auto batch = properties(sent(event_message("abc", row(store::EventType::batch_completed), "{}")));
  EXPECT_EQ(batch.at("batchId"), row(store::EventType::batch_completed).subject.str());
  EXPECT_FALSE(batch.contains("jobId"));
  auto joined = row(store::EventType::host_joined);
  joined.tenant.clear();
  const auto host = properties(sent(event_message("abc", joined, "{}")));
  EXPECT_EQ(host.at("hostId"), joined.subject.str());
  for (const auto* absent : {"tenant", "cloudEvents_tenant", "batchId", "jobId"}) EXPECT_FALSE(host.contains(absent));
}

TEST(AmqpMessage, OfAGapHasTheSameIdEachTime) {
  const auto message = sent(gap_message({"abc-3", "abc-9"}, kAt));
  EXPECT_EQ(proton::to_string(message.id()), "abc-9-gap");
  EXPECT_EQ(message.subject(), "geres.gap");
  EXPECT_EQ(body(message), R"({"after":"abc-3","until":"abc-9"})");
  EXPECT_EQ(properties(message).at("type"), "geres.gap");
  EXPECT_EQ(properties(message).at("cloudEvents_id"), "abc-9-gap");
}

}  // namespace
}  // namespace geres::hub::amqp
