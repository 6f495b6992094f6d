// SPDX-License-Identifier: Apache-2.0
#include "hub/api/small_list.h"

#include <algorithm>

#include "base/base64.h"
#include "hub/api/query.h"

namespace geres::hub::api {

Answered SmallList::answer(const http::Query& query) {
  const auto limit = number_parameter(query, "limit", 1, 1'000);
  if (!limit) return limit.error();
  std::string after;
  if (const auto cursor = query.get("cursor")) {
    const auto key = from_base64(*cursor);
    if (!key) return bad_cursor();
    after = *key;
  }
  std::sort(items_.begin(), items_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  const auto first = after.empty()
                         ? items_.begin()
                         : std::upper_bound(items_.begin(), items_.end(), after,
                                            [](const std::string& key, const auto& item) { return key < item.first; });
  const auto count = std::min<std::ptrdiff_t>(items_.end() - first, limit->value_or(100));
  json::array page;
  for (auto item = first; item != first + count; ++item) page.push_back(item->second());
  const bool more = first + count != items_.end();
  return list_response(std::move(page), more ? to_base64((first + count - 1)->first) : std::string());
}

}  // namespace geres::hub::api
