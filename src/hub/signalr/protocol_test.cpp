// SPDX-License-Identifier: Apache-2.0
// The records that SignalR clients send and get.
#include "hub/signalr/protocol.h"

#include <gtest/gtest.h>

namespace geres::hub::signalr {
namespace {

TEST(SignalrProtocol, TakesRecordsAsTheyComplete) {
  std::string bytes = "{\"a\":1}\x1e{\"b\"";
  EXPECT_EQ(take_records(bytes), (std::vector<std::string>{"{\"a\":1}"}));
  EXPECT_EQ(bytes, "{\"b\"");
  bytes += ":2}\x1e\x1e";
  EXPECT_EQ(take_records(bytes), (std::vector<std::string>{"{\"b\":2}", ""}));
  EXPECT_EQ(bytes, "");
}

TEST(SignalrProtocol, ShakesHandsInJsonOnly) {
  EXPECT_TRUE(read_handshake(R"({"protocol":"json","version":1})"));
  EXPECT_NE(read_handshake(R"({"protocol":"messagepack","version":1})").error().message.find("'messagepack'"),
            std::string::npos);
  EXPECT_NE(read_handshake(R"({"protocol":"json","version":2})").error().message.find("version 2"), std::string::npos);
  for (const auto* bad :
       {"", "x", "[]", "{}", R"({"protocol":1,"version":1})", R"({"protocol":"json","version":"1"})", R"({"type":6})"})
    EXPECT_FALSE(read_handshake(bad)) << bad;
  EXPECT_EQ(handshake_answer(), "{}\x1e");
}

TEST(SignalrProtocol, ReadsWhatClientsSend) {
  const auto call = read_message(R"({"type":1,"invocationId":"7","target":"SubscribeToJob","arguments":["x"]})");
  ASSERT_TRUE(call);
  EXPECT_EQ(call->type, MessageType::invocation);
  EXPECT_EQ(call->invocation_id, "7");
  EXPECT_EQ(call->target, "SubscribeToJob");
  EXPECT_EQ(call->arguments.size(), 1u);
  EXPECT_EQ(read_message(R"({"type":6})")->type, MessageType::ping);
  EXPECT_FALSE(read_message(R"({"type":1,"target":"x","arguments":[]})")->invocation_id);
  for (const auto* bad :
       {"", "7", "{}", R"({"type":0})", R"({"type":10})", R"({"type":"1"})", R"({"type":1,"arguments":[]})",
        R"({"type":1,"target":"x"})", R"({"type":1,"target":"x","arguments":{}})"})
    EXPECT_FALSE(read_message(bad)) << bad;
}

TEST(SignalrProtocol, WritesWhatClientsRead) {
  EXPECT_EQ(invocation("JobProgressed", {"{}", "1"}),
            "{\"type\":1,\"target\":\"JobProgressed\",\"arguments\":[{},1]}\x1e");
  EXPECT_EQ(completion("a\"b"), "{\"type\":3,\"invocationId\":\"a\\\"b\",\"result\":null}\x1e");
  EXPECT_EQ(completion("1", "no"), "{\"type\":3,\"invocationId\":\"1\",\"error\":\"no\"}\x1e");
  EXPECT_EQ(ping(), "{\"type\":6}\x1e");
  EXPECT_EQ(close("", true), "{\"type\":7,\"allowReconnect\":true}\x1e");
}

}  // namespace
}  // namespace geres::hub::signalr
