// SPDX-License-Identifier: Apache-2.0
// A server for tests that answers each request as the test says, on loopback, and keeps what it was asked.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "transport/listener_test.h"

namespace geres::objects {

struct Heard {
  std::string method, path, query;             // as they came, escaped
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

inline Heard read_request(int connection) {
  std::string text;
  const auto more = [&] {
    const auto piece = transport::hear(connection);
    text += piece;
    return !piece.empty();
  };
  while (text.find("\r\n\r\n") == std::string::npos && more()) {
  }
  Heard heard;
  const auto head = text.find("\r\n\r\n");
  if (head == std::string::npos) return heard;
  heard.method = text.substr(0, text.find(' '));
  const auto target =
      text.substr(heard.method.size() + 1, text.find(' ', heard.method.size() + 1) - heard.method.size() - 1);
  heard.path = target.substr(0, target.find('?'));
  if (target.find('?') != std::string::npos) heard.query = target.substr(target.find('?') + 1);
  for (auto line = text.find("\r\n") + 2; line < head;) {
    const auto end = text.find("\r\n", line), colon = text.find(':', line);
    auto name = text.substr(line, colon - line);
    for (auto& c : name) c = char(std::tolower(static_cast<unsigned char>(c)));
    heard.headers[name] = text.substr(colon + 2, end - colon - 2);
    line = end + 2;
  }
  const auto length = heard.headers.contains("content-length") ? std::stoull(heard.headers["content-length"]) : 0;
  while (text.size() < head + 4 + length && more()) {
  }
  heard.body = text.substr(head + 4);
  return heard;
}

inline std::string http(const std::string& status, const std::string& body = {}, const std::string& headers = {}) {
  return "HTTP/1.1 " + status + "\r\nConnection: close\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// One request a connection. An empty answer closes the connection without a word.
class FakeServer {
 public:
  using Reply = std::function<std::string(const Heard&)>;

  explicit FakeServer(Reply reply) : reply_(std::move(reply)) {}
  // These answers one after the other, the last one again and again.
  explicit FakeServer(std::vector<std::string> answers)
      : FakeServer([this, answers = std::move(answers)](const Heard&) {
          return answers[std::min(seen_.size(), answers.size()) - 1];
        }) {}

  std::string address() const { return "http://127.0.0.1:" + std::to_string(listener_.port); }
  std::vector<Heard> heard() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  void serve(int connection) {
    auto heard = read_request(connection);
    if (heard.method.empty()) return;
    std::string answer;
    {
      const std::lock_guard lock(mutex_);
      seen_.push_back(heard);
      answer = reply_(heard);
    }
    if (answer.empty()) return;
    transport::say(connection, answer);
    transport::finish(connection);
  }

  Reply reply_;
  mutable std::mutex mutex_;
  std::vector<Heard> seen_;
  transport::Listener listener_{[this](int connection) { serve(connection); }};
};

}  // namespace geres::objects
