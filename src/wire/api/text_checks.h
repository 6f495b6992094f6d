// SPDX-License-Identifier: Apache-2.0
// Limits on the texts that people put into jobs, batches and webhooks. `field`: its JSON pointer.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"

namespace geres::wire {

inline constexpr std::size_t kTagsMax = 64;
inline constexpr std::size_t kTextMax = 256;  // of a name, key, tag or label

bool has_control(std::string_view text);
Result<void> check_text(const std::string& text, std::string_view what, const std::string& field);
Result<void> check_tags(const std::map<std::string, std::string>& tags, const std::string& field);  // or labels
Result<void> check_key(const std::string& key, const std::string& field);

}  // namespace geres::wire
