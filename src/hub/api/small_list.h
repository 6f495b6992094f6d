// SPDX-License-Identifier: Apache-2.0
// Pages of things that are few enough to be read whole: batches, packages, tokens, tenants, hosts.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "hub/api/call.h"

namespace geres::hub::api {

// In the order of the keys, which must be unique and stay as they are: a page goes on after the last key of the one
// before.
class SmallList {
 public:
  using Show = std::function<json::object()>;  // asked of those on the page
  void add(std::string key, Show show) { items_.emplace_back(std::move(key), std::move(show)); }
  Answered answer(const http::Query& query);  // reads limit and cursor

 private:
  std::vector<std::pair<std::string, Show>> items_;
};

}  // namespace geres::hub::api
