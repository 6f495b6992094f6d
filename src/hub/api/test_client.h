// SPDX-License-Identifier: Apache-2.0
// A small HTTP client for tests. Every exchange can be recorded, so that answers are checked against api/openapi.yaml.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace geres::hub::api {

struct Reply {
  long status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  json::value json() const;
  std::string code() const;                    // of a problem answer; else empty
  std::string field() const;                   // of a problem answer; else empty
  std::string text(const char* member) const;  // a string member of the body; empty if absent
};
std::ostream& operator<<(std::ostream& to, const Reply& reply);

// Appends one JSON line per exchange to the file that GERES_TEST_RECORD names.
void record(const std::string& method, const std::string& path, const Reply& reply);

class TestClient {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  TestClient(std::string url, std::string token) : url_(std::move(url)), token_(std::move(token)) {}
  const std::string& token() const { return token_; }
  TestClient as(std::string token) const { return {url_, std::move(token)}; }
  TestClient at(std::string url) const { return {std::move(url), token_}; }

  Reply get(const std::string& path, const Headers& headers = {}) const { return call("GET", path, "", headers); }
  Reply post(const std::string& path, const std::string& body = "", const Headers& headers = {}) const {
    return call("POST", path, body, headers);
  }
  Reply call(const std::string& method, const std::string& path, const std::string& body = "",
             const Headers& headers = {}) const;

 private:
  std::string url_;
  std::string token_;
};

}  // namespace geres::hub::api
