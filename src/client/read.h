// SPDX-License-Identifier: Apache-2.0
// From a hub's JSON to the structs of client_types.h. Readers take what they know and ignore the rest, so that newer
// hubs work; what is absent or of another type stays empty.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "geres/client_pending.h"
#include "geres/client_types.h"

namespace geres::client {

std::string text_of(const json::value& from, std::string_view member);
std::int64_t integer_of(const json::value& from, std::string_view member);
const json::value& member_of(const json::value& from, std::string_view member);  // null if absent
const json::array& items_of(const json::value& list);                            // of {"items": […]}

std::optional<State> state_named(std::string_view name);

Job read_job(const json::value& from);
Affected read_affected(const json::value& from);
Attempt read_attempt(const json::value& from);
Why read_why(const json::value& from);
File read_file_entry(const json::value& from);
Batch read_batch(const json::value& from);
Package read_package(const json::value& from);
Stored read_stored(const json::value& from);
Tenant read_tenant(const json::value& from);
Host read_host(const json::value& from);
Info read_info(const json::value& from);
Event read_event(const json::value& from);
std::vector<std::string> read_ids(const json::value& from);

template <class T>
Page<T> read_page(const json::value& from, T (*read)(const json::value&)) {
  Page<T> page;
  for (const auto& item : items_of(from)) page.items.push_back(read(item));
  page.next = text_of(from, "next");
  return page;
}

}  // namespace geres::client
