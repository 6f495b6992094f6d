// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>
#include <cassert>

#include "base/bytes.h"

namespace geres::log {
namespace {

// Of the line that this thread is writing. A sink formats on the thread that logs, so a thread-local reaches it.
thread_local std::span<const Member> members_now;

std::string json_text(std::string_view text) {
  return boost::json::serialize(boost::json::value(replace_bad_utf8(text)));
}

// %* in JSON lines: the message as a JSON string, then the members.
class JsonMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& to) override {
    const std::string text = json_text({message.payload.data(), message.payload.size()}) + json_members(members_now);
    to.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<JsonMessage>(); }
};

// %* in lines for people: the members alone.
class TextMembers final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg&, const std::tm&, spdlog::memory_buf_t& to) override {
    const std::string text = text_members(members_now);
    to.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<TextMembers>(); }
};

bool needs_no_quotes(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_.:/+@,*{}[]").find(c) != std::string_view::npos;
  });
}

}  // namespace

void start(const std::string& part, Format format, const std::string& level) {
  auto logger = std::make_shared<spdlog::logger>(part, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  const bool json = format == Format::json || (format == Format::automatic && !isatty(STDERR_FILENO));
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  if (json) {
    formatter->add_flag<JsonMessage>('*').set_pattern(
        R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","part":"%n","message":%*})");
  } else {
    formatter->add_flag<TextMembers>('*').set_pattern("%H:%M:%S.%e %n %l  %v%*");
  }
  logger->set_formatter(std::move(formatter));
  logger->set_level(spdlog::level::from_str(level));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

bool Member::absent() const {
  const auto* text = std::get_if<std::string>(&value_);
  return text != nullptr && text->empty();
}

std::string Member::json() const {
  if (const auto* text = std::get_if<std::string>(&value_)) return json_text(*text);
  if (const auto* number = std::get_if<std::int64_t>(&value_)) return std::to_string(*number);
  if (const auto* number = std::get_if<double>(&value_)) return fmt::format("{:.3f}", *number);
  return std::get<bool>(value_) ? "true" : "false";
}

std::string Member::plain() const {
  const auto* text = std::get_if<std::string>(&value_);
  return text != nullptr && needs_no_quotes(*text) ? *text : json();
}

void event(Level level, std::string_view message, std::span<const Member> members) {
  if (!spdlog::should_log(level)) return;
  members_now = members;
  spdlog::log(level, "{}", message);
  members_now = {};
}

std::string json_members(std::span<const Member> members) {
  std::string text;
  for (const auto& member : members) {
    assert(member.name() != "time" && member.name() != "level" && member.name() != "part" &&
           member.name() != "message");
    if (!member.absent()) text += ",\"" + member.name() + "\":" + member.json();
  }
  return text;
}

std::string text_members(std::span<const Member> members) {
  std::string text;
  for (const auto& member : members)
    if (!member.absent()) text += (text.empty() ? "  " : " ") + member.name() + "=" + member.plain();
  return text;
}

}  // namespace geres::log
