// SPDX-License-Identifier: Apache-2.0
// The ASP.NET Core SignalR JSON hub protocol, version 1: JSON records that end with 0x1e. No input or output, no state.
// Follows the protocol's specification (HubProtocol.md of dotnet/aspnetcore).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace geres::hub::signalr {

constexpr char kRecordEnd = '\x1e';

// Takes the complete records out of `bytes` and returns them without their terminators.
std::vector<std::string> take_records(std::string& bytes);

// Reads the client's first record. An error's message is sent to the client.
Result<void> read_handshake(std::string_view record);

enum class MessageType {
  invocation = 1,
  streamItem,
  completion,
  streamInvocation,
  cancelInvocation,
  ping,
  close,
  ack,
  sequence
};

struct Message {
  MessageType type = MessageType::ping;
  std::optional<std::string> invocation_id;  // absent: the client wants no completion
  std::string target;
  json::array arguments;
};
Result<Message> read_message(std::string_view record);

// ---- what the server says, each with its end
std::string handshake_answer(std::string_view error = {});
// `arguments`: JSON texts.
std::string invocation(std::string_view target, std::initializer_list<std::string_view> arguments);
std::string completion(std::string_view invocation_id, std::string_view error = {});  // without error: result null
std::string ping();
std::string close(std::string_view error, bool allow_reconnect);

}  // namespace geres::hub::signalr
