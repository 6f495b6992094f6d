// SPDX-License-Identifier: Apache-2.0
// A real server for tests, tests/servers/azurite.py, which a test program starts when it first needs it and which ends
// with the program.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>

#include "base/base64.h"
#include "objects/http_date.h"
#include "objects/shared_key.h"
#include "transport/loop.h"
#include "transport/server_process_test.h"

namespace geres::objects {

inline transport::Answer<transport::Reply> made(transport::Call call, const std::string& ca_file = {}) {
  transport::Loop loop({.ca_file = ca_file, .patience = 0, .proxies = false});
  std::optional<transport::Answer<transport::Reply>> answer;
  loop.start(std::move(call), [&](auto got) { answer.emplace(std::move(got)); });
  while (!answer) loop.turn(100);
  return std::move(*answer);
}

class Azurite {
 public:
  static Azurite& plain() {
    static Azurite server("");
    return server;
  }
  static Azurite& https() {
    static Azurite server("--https");
    return server;
  }

  std::string endpoint, account, key, ca_file;

  std::string container() {
    static int made_so_far = 0;
    const auto name = "test-" + std::to_string(++made_so_far);
    transport::Call call{.method = "PUT", .other = endpoint + "/" + name + "?restype=container", .body = ""};
    SharedKeyRequest request{"PUT", "/" + account + "/" + name, {{"restype", "container"}}, {}, 0};
    request.headers = {{"x-ms-version", std::string(kAzureVersion)},
                       {"x-ms-date", http_date(SystemClock().wall())},
                       {"content-type", "text/plain"}};
    call.content_type.clear();
    for (const auto& header : request.headers) call.headers.push_back(header);
    call.headers.emplace_back("authorization", shared_key(account, from_base64(key).value(), request));
    const auto answer = made(std::move(call), ca_file);
    if (!answer) throw std::runtime_error("no container: " + answer.error().error.message + answer.error().body);
    return name;
  }

 private:
  explicit Azurite(const std::string& flag) : process_("azurite.py", flag) {
    endpoint = process_.told("endpoint"), account = process_.told("account"), key = process_.told("key");
    ca_file = process_.told("ca_file");
  }

  transport::ServerProcess process_;
};

}  // namespace geres::objects
