// SPDX-License-Identifier: Apache-2.0
// Pages of things that are few enough to be read whole: batches, packages, tokens, tenants, hosts.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "hub/api/call.h"

namespace geres::hub::api {

// In the order of the keys, which must be unique and stay as they are: a page goes on after the last key of the one
// before.
class SmallList {
 public:
  void add(std::string key, json::object item) { items_.emplace_back(std::move(key), std::move(item)); }
  Answered answer(const http::Query& query);  // reads limit and cursor

 private:
  std::vector<std::pair<std::string, json::object>> items_;
};

}  // namespace geres::hub::api
