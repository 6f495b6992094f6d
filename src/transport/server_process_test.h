// SPDX-License-Identifier: Apache-2.0
// One of tests/servers for a test program: it is started, says in one line of JSON where it is, and ends with this.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "base/file.h"
#include "base/json.h"

namespace geres::transport {

class ServerProcess {
 public:
  explicit ServerProcess(const std::string& name, std::string flag = {}) {
    const char* servers = std::getenv("GERES_TEST_SERVERS");
    if (servers == nullptr) throw std::runtime_error("GERES_TEST_SERVERS is not set: run it by ctest");
    std::string script = std::string(servers) + "/" + name, python = "python3";
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
    if (!said) throw std::runtime_error(name + " does not start; what it said is above");
    told_ = said->get_object();
  }
  ~ServerProcess() {
    open_.reset();
    ::waitpid(pid_, nullptr, 0);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  std::string told(const char* name) const {  // empty: nothing
    const auto* found = told_.if_contains(name);
    return found != nullptr ? std::string(found->get_string()) : std::string();
  }

 private:
  Fd open_;  // its standard input
  pid_t pid_ = -1;
  json::object told_;
};

}  // namespace geres::transport
