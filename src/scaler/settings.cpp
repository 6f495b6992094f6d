// SPDX-License-Identifier: Apache-2.0
#include "scaler/settings.h"

#include "base/duration.h"

namespace geres::scaler {
namespace {

const json::value kAbsent;

}  // namespace

Settings::Settings(const json::value& from, std::string place, std::optional<Error>& error)
    : from_(&from), place_(std::move(place)), error_(&error) {
  if (!from.is_object() && !from.is_null() && !error) error = fail(Code::wrongType, "an object is wanted here", place_);
}

const json::value* Settings::find(std::string_view name) const {
  return from_->is_object() ? from_->get_object().if_contains(name) : nullptr;
}

Settings Settings::inside(std::string_view name) const {
  const auto* member = find(name);
  return Settings(member != nullptr ? *member : kAbsent, place_ + json::pointer_token(name), *error_);
}

json::object Settings::object() const {
  return from_->is_object() ? from_->get_object() : json::object();
}

void Settings::wrong(std::string_view name, std::string message, std::string hint) const {
  if (!*error_) *error_ = fail(Code::badValue, std::move(message), place_ + json::pointer_token(name), std::move(hint));
}

template <class T>
std::optional<T> Settings::read(std::string_view name) const {
  const auto* member = find(name);
  if (member == nullptr || member->is_null()) return std::nullopt;
  auto value = json::read<T>(*member);
  if (value) return std::move(*value);
  if (!*error_) {
    *error_ = value.error();
    (*error_)->field = place_ + json::pointer_token(name) + (*error_)->field;
  }
  return std::nullopt;
}

std::string Settings::text(std::string_view name) const {
  const auto* member = find(name);
  return member != nullptr && member->is_string() ? std::string(member->get_string()) : std::string();
}

void Settings::integer(std::string_view name, std::int64_t& to, std::int64_t least, std::int64_t most) const {
  const auto value = read<std::int64_t>(name);
  if (!value) return;
  if (*value < least || *value > most)
    return wrong(name, std::to_string(*value) + " is out of range",
                 std::to_string(least) + " to " + std::to_string(most));
  to = *value;
}

void Settings::flag(std::string_view name, bool& to) const {
  if (const auto value = read<bool>(name)) to = *value;
}

void Settings::duration(std::string_view name, Millis& to, Millis least) const {
  std::optional<Millis> value;
  duration(name, value, least);
  if (value) to = *value;
}

void Settings::duration(std::string_view name, std::optional<Millis>& to, Millis least) const {
  const auto* member = find(name);
  Millis value = 0;
  if (member != nullptr && member->is_int64() && member->get_int64() == 0) {  // needs no unit
  } else if (member != nullptr && member->is_string() && member->get_string() == "0") {
  } else if (const auto given = read<json::Duration>(name)) {
    value = given->ms;
  } else {
    return;
  }
  if (value < least) return wrong(name, "this is too short", "at least " + format_duration(least));
  to = value;
}

void Settings::size(std::string_view name, std::int64_t& to) const {
  if (const auto value = read<json::Size>(name)) to = value->bytes;
}

void Settings::time(std::string_view name, Millis& to) const {
  if (const auto value = read<json::Time>(name)) to = value->at;
}

void Settings::step(std::string_view name, Step& to) const {
  const auto* member = find(name);
  if (member == nullptr || member->is_null()) return;
  if (auto value = read_step(*member))
    to = *value;
  else
    wrong(name, value.error().message, value.error().hint);
}

void Settings::texts(std::string_view name, std::vector<std::string>& to) const {
  if (auto value = read<std::vector<std::string>>(name)) to = std::move(*value);
}

void Settings::texts(std::string_view name, std::map<std::string, std::string>& to) const {
  if (auto value = read<std::map<std::string, std::string>>(name)) to = std::move(*value);
}

}  // namespace geres::scaler
