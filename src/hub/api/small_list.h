// SPDX-License-Identifier: Apache-2.0
// Pages of collections small enough to be read as a whole: batches, packages, tokens, tenants, hosts.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "hub/api/call.h"

namespace geres::hub::api {

// Ordered by key. Keys must be unique and must not change, because a page begins after the last key of the page before.
class SmallList {
 public:
  using Show = std::function<json::object()>;  // called only for items on the page
  void add(std::string key, Show show) { items_.emplace_back(std::move(key), std::move(show)); }
  Answered answer(const http::Query& query);  // reads the parameters limit and cursor

 private:
  std::vector<std::pair<std::string, Show>> items_;
};

}  // namespace geres::hub::api
