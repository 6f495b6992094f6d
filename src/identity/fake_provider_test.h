// SPDX-License-Identifier: Apache-2.0
// An identity provider for tests, on loopback: it answers each path as the test says and counts.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "transport/listener_test.h"

namespace geres::identity {

inline std::string answer_of(const std::string& body, const std::string& status = "200 OK",
                             const std::string& headers = "") {
  return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n" + headers + "\r\n" + body;
}

class FakeProvider {
 public:
  FakeProvider() : listener_([this](int connection) { serve(connection); }) {}

  std::string at(const std::string& path) const { return listener_.url() + path; }
  void put(const std::string& path, std::string answer) {
    const std::lock_guard lock(mutex_);
    answers_["/" + path] = std::move(answer);
  }
  // As discovery has it: NAME/about says whose keys these are, NAME/keys has them.
  void put_provider(const std::string& name, const std::string& issuer, const std::string& keys) {
    put(name + "/about", answer_of("{\"issuer\":\"" + issuer + "\",\"jwks_uri\":\"" + at(name + "/keys") + "\"}"));
    put(name + "/keys", answer_of(keys));
  }
  int asked(const std::string& path) const {
    const std::lock_guard lock(mutex_);
    const auto found = asked_.find("/" + path);
    return found != asked_.end() ? found->second : 0;
  }
  // Called before each answer, on the server's thread.
  std::function<void(const std::string& path)> before = nullptr;

 private:
  void serve(int connection) {
    std::string head;
    while (head.find("\r\n\r\n") == std::string::npos) {
      const auto more = transport::hear(connection);
      if (more.empty()) return;
      head += more;
    }
    const auto start = head.find(' ') + 1;
    const auto path = head.substr(start, head.find(' ', start) - start);
    if (before) before(path);
    std::string answer;
    {
      const std::lock_guard lock(mutex_);
      ++asked_[path];
      const auto found = answers_.find(path);
      answer = found != answers_.end() ? found->second : answer_of("{}", "404 Not Found");
    }
    transport::say(connection, answer);
    transport::finish(connection);
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::string> answers_;
  std::map<std::string, int> asked_;
  transport::Listener listener_;
};

}  // namespace geres::identity
