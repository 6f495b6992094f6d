// SPDX-License-Identifier: Apache-2.0
// A small host for the tests: launches a real runner, records what it reports, and waits for facts.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <boost/describe/enum_to_string.hpp>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>

#include "base/file.h"
#include "base/uuid.h"
#include "host/runner_client/runner_client.h"

namespace geres::host {

inline Millis now() {
  return SystemClock().monotonic();
}

template <class Fact>
bool eventually(Fact fact, Millis ms = 10'000) {
  const Millis end = now() + ms;
  for (; !fact(); usleep(2000))
    if (now() > end) return false;
  return true;
}

// A file of /proc; empty if its process is gone, even in the middle of reading.
inline std::string read_of_process(const std::filesystem::path& path) {
  try {
    return read_file_if(path).value_or("");
  } catch (const std::system_error&) {
    return {};
  }
}

// The pids, as this process sees them, of living processes that have `word` among their arguments.
inline std::vector<pid_t> processes_with(const std::string& word) {
  std::vector<pid_t> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0 || pid == getpid()) continue;
    const std::string arguments = read_of_process(entry.path() / "cmdline");
    if (('\0' + arguments).find('\0' + word + '\0') != std::string::npos) found.push_back(pid);
  }
  return found;
}

inline std::vector<pid_t> children_of(pid_t parent, const std::string& name) {
  std::vector<pid_t> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    const std::string text = read_of_process(entry.path() / "stat");
    const auto end = text.rfind(')');
    if (end == std::string::npos || text.find("(" + name + ")") == std::string::npos) continue;
    if (std::atoi(text.c_str() + end + 4) == parent) found.push_back(pid);
  }
  return found;
}

// A number of seconds that nothing else sleeps for, by which a test's processes are found.
inline std::string token() {
  static int count = 0;
  return std::to_string(90'000 + getpid() % 9'000) + "." + std::to_string(1'000'000 + ++count);
}

struct TestHost {
  TemporaryDirectory directory;
  std::unique_ptr<RunnerClient> client;
  std::string refused;  // why launch failed

  std::mutex mutex;
  std::condition_variable news;
  std::map<std::string, wire::RunStarted> started;
  std::map<std::string, std::vector<wire::RunProgress>> progress;
  std::map<std::string, wire::RunLog> logs;
  std::map<std::string, std::int64_t> held;
  std::map<std::string, wire::RunResult> results;
  std::optional<std::vector<std::string>> lost;

  bool launch(RunnerClient::Options options) {
    options.runner_path = GERES_RUNNER;
    if (options.slots == 1) options.slots = 4;
    auto launched = RunnerClient::launch(options);
    if (!launched) {
      refused = launched.error().message;
      return false;
    }
    client = std::move(*launched);
    RunnerClient::Callbacks callbacks;
    callbacks.started = [this](const wire::RunStarted& s) { note([&] { started[s.key] = s; }); };
    callbacks.progress = [this](const wire::RunProgress& p) { note([&] { progress[p.key].push_back(p); }); };
    callbacks.log_grew = [this](const wire::RunLog& l) { note([&] { logs[l.key] = l; }); };
    callbacks.held = [this](const wire::RunHeld& h) { note([&] { held[h.key] = h.bytes; }); };
    callbacks.exited = [this](wire::RunResult r) { note([&] { results[r.key] = std::move(r); }); };
    callbacks.lost = [this](std::vector<std::string> keys, const std::string&) {
      note([&] { lost = std::move(keys); });
    };
    client->attach(std::move(callbacks));
    return true;
  }
  ~TestHost() { client.reset(); }

  template <class Change>
  void note(Change change) {
    {
      const std::lock_guard lock(mutex);
      change();
    }
    news.notify_all();
  }
  template <class Fact>
  bool wait_for(Fact fact, Millis ms = 20'000) {
    std::unique_lock lock(mutex);
    return news.wait_for(lock, std::chrono::milliseconds(ms), fact);
  }

  wire::RunSpec spec(const std::string& key, std::vector<std::string> argv) const {
    wire::RunSpec s;
    s.key = key;
    s.argv = std::move(argv);
    s.env = {"PATH=/usr/bin:/bin"};
    s.workDirectory = directory.path();
    s.stdoutPath = directory.path() / (key + ".out");
    s.stderrPath = directory.path() / (key + ".err");
    return s;
  }
  wire::RunSpec shell(const std::string& key, const std::string& script) const {
    return spec(key, {"/bin/sh", "-c", script});
  }
  wire::RunResult result(const std::string& key, Millis ms = 20'000) {
    EXPECT_TRUE(wait_for([&] { return results.contains(key) || lost; }, ms)) << key << " did not end";
    const std::lock_guard lock(mutex);
    return results[key];
  }
  wire::RunResult run(const wire::RunSpec& s, Millis ms = 20'000) {
    client->start(s);
    return result(s.key, ms);
  }
  std::string output(const std::string& key, const char* stream = ".out") const {
    return read_file_if(directory.path() / (key + stream)).value_or("");
  }
};

}  // namespace geres::host
