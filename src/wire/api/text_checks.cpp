// SPDX-License-Identifier: Apache-2.0
#include "wire/api/text_checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"

namespace geres::wire {

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

Result<void> check_text(const std::string& text, std::string_view what, const std::string& field) {
  if (text.size() > kTextMax)
    return fail(Code::tooLarge, fmt::format("the {} has {} bytes", what, text.size()), field,
                fmt::format("at most {} bytes", kTextMax));
  if (has_control(text)) return fail(Code::badValue, fmt::format("the {} has control characters", what), field);
  return {};
}

Result<void> check_tags(const std::map<std::string, std::string>& tags, const std::string& field) {
  if (tags.size() > kTagsMax)
    return fail(Code::tooMany, fmt::format("{} entries", tags.size()), field, fmt::format("at most {}", kTagsMax));
  for (const auto& [name, value] : tags) {
    const std::string here = field + json::pointer_token(name.substr(0, 80));
    if (name.empty()) return fail(Code::badValue, "an entry has no name", field);
    if (auto ok = check_text(name, "name", here); !ok) return ok;
    if (auto ok = check_text(value, "value", here); !ok) return ok;
  }
  return {};
}

Result<void> check_key(const std::string& key, const std::string& field) {
  return check_text(key, "key", field);
}

}  // namespace geres::wire
