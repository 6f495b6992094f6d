// SPDX-License-Identifier: Apache-2.0
// Structured logs: one line per event, on standard error; text on a terminal, JSON lines elsewhere. What somebody may
// search for (which host, which job, which user) goes into members, so that the message has the same words each time:
//
//   log::event(log::Level::warn, "host lost", {{"host", name}, {"slots", 4}});
//   {"time":…,"level":"warning","part":"hub","message":"host lost","host":"w1","slots":4}
//   21:12:04.120 hub warning  host lost  host=w1 slots=4
//
// Never log a secret, a token, parameters or a job's output.
#pragma once

#include <spdlog/spdlog.h>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace geres::log {

using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;
using Level = spdlog::level::level_enum;

enum class Format { automatic, text, json };

// Once, from main, before there are other threads. `part` names this part of the program ("hub", "host") in each line.
void start(const std::string& part, Format format = Format::automatic, const std::string& level = "info");

// A member of a line: its name in camelCase (not `time`, `level`, `part` or `message`) and its value. An empty text is
// left out.
class Member {
 public:
  Member(std::string_view name, std::string_view text) : name_(name), value_(std::string(text)) {}
  Member(std::string_view name, const char* text) : Member(name, std::string_view(text)) {}
  Member(std::string_view name, const std::string& text) : Member(name, std::string_view(text)) {}
  Member(std::string_view name, bool is) : name_(name), value_(is) {}
  Member(std::string_view name, double number) : name_(name), value_(number) {}
  Member(std::string_view name, std::integral auto number) : name_(name), value_(std::int64_t(number)) {}

  const std::string& name() const { return name_; }
  bool absent() const;
  std::string json() const;   // the value
  std::string plain() const;  // the value for people: quoted only where necessary, without control characters

 private:
  std::string name_;
  std::variant<std::string, std::int64_t, double, bool> value_;
};

// Any thread.
void event(Level level, std::string_view message, std::span<const Member> members);
inline void event(Level level, std::string_view message, std::initializer_list<Member> members) {
  event(level, message, std::span(members.begin(), members.size()));
}

// The members as start() has them written, for tests.
std::string json_members(std::span<const Member> members);  // `,"host":"w1","slots":4`
std::string text_members(std::span<const Member> members);  // `  host=w1 slots=4`

}  // namespace geres::log
