// SPDX-License-Identifier: Apache-2.0
// A real server for tests, tests/servers/azurite.py, which a test program starts when it first needs it and which ends
// with the program.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>

#include "base/base64.h"
#include "base/file.h"
#include "base/json.h"
#include "objects/http_date.h"
#include "objects/shared_key.h"
#include "transport/loop.h"

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
  explicit Azurite(std::string flag) {
    const char* servers = std::getenv("GERES_TEST_SERVERS");
    if (servers == nullptr) throw std::runtime_error("GERES_TEST_SERVERS is not set: run it by ctest");
    std::string script = std::string(servers) + "/azurite.py", python = "python3";
    int in[2], out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("no pipes");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    char* words[] = {python.data(), script.data(), flag.empty() ? nullptr : flag.data(), nullptr};
    const int failed = ::posix_spawnp(&pid_, "python3", &actions, nullptr, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]), ::close(out[1]);
    open_ = Fd(in[1]);
    const Fd told(out[0]);
    if (failed != 0) throw std::runtime_error("python3 does not start");
    std::string line;
    for (char c; ::read(told.get(), &c, 1) == 1 && c != '\n';) line += c;
    const auto said = json::parse(line);
    if (!said) throw std::runtime_error("azurite does not start; what it said is above");
    const auto text = [&](const char* name) {
      const auto* found = said->get_object().if_contains(name);
      return found != nullptr ? std::string(found->get_string()) : std::string();
    };
    endpoint = text("endpoint"), account = text("account"), key = text("key"), ca_file = text("ca_file");
  }
  ~Azurite() {
    open_.reset();
    ::waitpid(pid_, nullptr, 0);
  }

  Fd open_;  // its standard input
  pid_t pid_ = -1;
};

}  // namespace geres::objects
