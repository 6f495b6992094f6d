// SPDX-License-Identifier: Apache-2.0
// Reads members of settings that may be absent, and keeps the first thing that is wrong with them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "scaler/pool.h"

namespace geres::scaler {

// What `from` refers to must outlive it. An absent member leaves its target as it is.
class Settings {
 public:
  Settings(const json::value& from, std::string place, std::optional<Error>& error);

  const json::value* find(std::string_view name) const;  // null if absent
  Settings inside(std::string_view name) const;
  json::object object() const;

  std::string text(std::string_view name) const;  // empty if absent or no text
  void integer(std::string_view name, std::int64_t& to, std::int64_t least, std::int64_t most) const;
  void flag(std::string_view name, bool& to) const;
  void duration(std::string_view name, Millis& to, Millis least) const;
  void duration(std::string_view name, std::optional<Millis>& to, Millis least) const;
  void size(std::string_view name, std::int64_t& to) const;
  void time(std::string_view name, Millis& to) const;
  void step(std::string_view name, Step& to) const;
  void texts(std::string_view name, std::vector<std::string>& to) const;
  void texts(std::string_view name, std::map<std::string, std::string>& to) const;

  void wrong(std::string_view name, std::string message, std::string hint = {}) const;
  const std::string& place() const { return place_; }

 private:
  template <class T>
  std::optional<T> read(std::string_view name) const;

  const json::value* from_;
  std::string place_;
  std::optional<Error>* error_;
};

}  // namespace geres::scaler
