// SPDX-License-Identifier: Apache-2.0
#include "hub/signalr/protocol.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/bytes.h"

namespace geres::hub::signalr {
namespace {

std::string record(const json::object& message) {
  return boost::json::serialize(message) + kRecordEnd;
}

std::optional<json::object> object_of(std::string_view text) {
  boost::json::error_code ec;
  auto value = boost::json::parse(text, ec);
  if (ec || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

std::optional<std::string> text_member(const json::object& from, std::string_view name) {
  const auto* value = from.if_contains(name);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

}  // namespace

std::vector<std::string> take_records(std::string& bytes) {
  std::vector<std::string> records;
  std::size_t from = 0;
  for (auto end = bytes.find(kRecordEnd); end != std::string::npos; end = bytes.find(kRecordEnd, from)) {
    records.push_back(bytes.substr(from, end - from));
    from = end + 1;
  }
  bytes.erase(0, from);
  return records;
}

Result<void> read_handshake(std::string_view record) {
  const auto request = object_of(record);
  const auto protocol = request ? text_member(*request, "protocol") : std::nullopt;
  const auto* version = request ? request->if_contains("version") : nullptr;
  if (!protocol || version == nullptr || !version->is_int64())
    return fail(Code::badRequest, "The first message must be a handshake: {\"protocol\":\"json\",\"version\":1}.");
  if (*protocol != "json")
    return fail(Code::notSupported, fmt::format("The protocol '{}' is not supported: use json.",
                                                replace_bad_utf8(utf8_prefix(*protocol, 80))));
  if (version->get_int64() != 1)
    return fail(Code::notSupported, fmt::format("The server does not support version {} of the 'json' protocol: use 1.",
                                                version->get_int64()));
  return {};
}

Result<Message> read_message(std::string_view record) {
  auto object = object_of(record);
  const auto* type = object ? object->if_contains("type") : nullptr;
  if (type == nullptr || !type->is_int64() || type->get_int64() < 1 || type->get_int64() > 9)
    return fail(Code::badRequest, "A message is a JSON object with a type from 1 to 9.");
  Message message;
  message.type = MessageType(type->get_int64());
  message.invocation_id = text_member(*object, "invocationId");
  if (message.type != MessageType::invocation && message.type != MessageType::streamInvocation) return message;
  const auto target = text_member(*object, "target");
  auto* arguments = object->if_contains("arguments");
  if (!target || arguments == nullptr || !arguments->is_array())
    return fail(Code::badRequest, "An invocation needs a target and arguments.");
  message.target = *target;
  message.arguments = std::move(arguments->get_array());
  return message;
}

std::string handshake_answer(std::string_view error) {
  json::object answer;
  if (!error.empty()) answer.emplace("error", error);
  return record(answer);
}

std::string invocation(std::string_view target, std::initializer_list<std::string_view> arguments) {
  std::string text = fmt::format(R"({{"type":1,"target":"{}","arguments":[)", target);
  bool first = true;
  for (const auto argument : arguments) {
    if (!std::exchange(first, false)) text += ',';
    text += argument;
  }
  text += "]}";
  text += kRecordEnd;
  return text;
}

std::string completion(std::string_view invocation_id, std::string_view error) {
  json::object message{{"type", 3}, {"invocationId", invocation_id}};
  if (error.empty())
    message.emplace("result", nullptr);
  else
    message.emplace("error", error);
  return record(message);
}

std::string ping() {
  return std::string(R"({"type":6})") + kRecordEnd;
}

std::string close(std::string_view error, bool allow_reconnect) {
  json::object message{{"type", 7}};
  if (!error.empty()) message.emplace("error", error);
  if (allow_reconnect) message.emplace("allowReconnect", true);
  return record(message);
}

}  // namespace geres::hub::signalr
