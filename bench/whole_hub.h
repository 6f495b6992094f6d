// SPDX-License-Identifier: Apache-2.0
// What the benches of a whole hub share: its real program as a process, clocks, percentiles, rows of a table in
// Markdown, and the disk's own limit.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/uuid.h"
#include "http_load.h"

extern char** environ;

namespace geres::bench {

namespace fs = std::filesystem;

inline std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}
inline double seconds_since(std::int64_t start_ns) {
  return double(now_ns() - start_ns) / 1e9;
}

inline void row(const std::string& what, const std::string& measured, const std::string& limit) {
  fmt::print("| {} | {} | {} |\n", what, measured, limit);
  std::fflush(stdout);
}

inline double percentile(std::vector<double> values, double p) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, std::size_t(p * double(values.size())))];
}

inline pid_t spawn(const std::vector<std::string>& words, int out = -1) {
  std::vector<char*> argv;
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (out >= 0) posix_spawn_file_actions_adddup2(&actions, out, 1);
  pid_t pid = -1;
  if (posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ) != 0)
    throw std::runtime_error("spawn " + words[0]);
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

// A hub (`up` or `hub`) of its own on a fresh or given directory.
class Hub {
 public:
  // `port`: 0 is any that is free.
  Hub(const fs::path& program, const std::string& command, fs::path data, std::vector<std::string> more = {},
      std::uint16_t port = 0)
      : data_(std::move(data)) {
    int out[2];
    if (::pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    std::vector<std::string> words{program.string(), command,    "--data",
                                   data_.string(),   "--listen", "127.0.0.1:" + std::to_string(port)};
    words.insert(words.end(), more.begin(), more.end());
    started_ns_ = now_ns();
    pid_ = spawn(words, out[1]);
    ::close(out[1]);
    // The block that it prints when it is ready names the address.
    std::string text;
    char piece[512];
    ssize_t got;
    while (text.find("API") == std::string::npos || text.find('\n', text.find("API")) == std::string::npos) {
      if ((got = ::read(out[0], piece, sizeof piece)) <= 0) throw std::runtime_error("the hub did not start: " + text);
      text.append(piece, std::size_t(got));
    }
    ready_seconds_ = seconds_since(started_ns_);
    out_ = out[0];
    const auto at = text.find("http://127.0.0.1:") + 17;
    port_ = std::uint16_t(std::atoi(text.c_str() + at));
    token_ = read_file(data_ / "admin.token");
    while (!token_.empty() && token_.back() == '\n') token_.pop_back();
  }
  ~Hub() { stop(); }
  void stop(int signal = SIGTERM) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    ::close(out_);
    pid_ = -1;
  }
  Connection connect() const { return Connection(port_, token_); }
  std::uint16_t port() const { return port_; }
  const std::string& token() const { return token_; }
  pid_t pid() const { return pid_; }
  double ready_seconds() const { return ready_seconds_; }
  double seconds_since_start() const { return seconds_since(started_ns_); }
  double cpu_seconds() const {
    const auto stat = read_file("/proc/" + std::to_string(pid_) + "/stat");
    std::istringstream fields(stat.substr(stat.rfind(')') + 2));
    std::string word;
    for (int i = 0; i < 11; ++i) fields >> word;
    double user = 0, system = 0;
    fields >> user >> system;
    return (user + system) / double(::sysconf(_SC_CLK_TCK));
  }
  std::int64_t rss_kib() const {
    const auto status = read_file("/proc/" + std::to_string(pid_) + "/status");
    return std::atoll(status.c_str() + status.find("VmRSS:") + 6);
  }
  std::int64_t descriptors() const {
    const fs::directory_iterator open("/proc/" + std::to_string(pid_) + "/fd");
    return std::distance(begin(open), end(open));
  }

 private:
  fs::path data_;
  pid_t pid_ = -1;
  int out_ = -1;
  std::uint16_t port_ = 0;
  std::string token_;
  std::int64_t started_ns_ = 0;
  double ready_seconds_ = 0;
};

struct Setting {
  fs::path bin;  // geres and the others
  fs::path stamp;
  fs::path work;  // on a real disk
};

inline fs::path fresh(const Setting& setting) {
  const auto path = setting.work / ("data-" + random_hex(4));
  fs::create_directories(path);
  return path;
}

inline void must(const Answer& answer, int status) {
  if (answer.status != status) throw std::runtime_error(fmt::format("status {}: {}", answer.status, answer.body));
}

inline std::string noop_spec(std::int64_t i) {
  return fmt::format(
      R"({{"tenant":"bench","type":"Noop","name":"job-{}","parameters":{{"source":"https://example.org/pictures/{}.jpg","width":320,"height":240}},"tags":{{"run":"bench"}},"priority":{}}})",
      i, i, i % 7);
}

inline std::string noop_list(std::int64_t from, int n) {
  std::string body = "[";
  for (int i = 0; i < n; ++i) body += (i ? "," : "") + noop_spec(from + i);
  return body + "]";
}

inline double syncs_per_second(const Setting& setting) {
  const Fd fd(::open((setting.work / "sync").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const std::string page(4096, 'x');
  const auto start = now_ns();
  int n = 0;
  for (; seconds_since(start) < 2; ++n)
    if (::write(fd.get(), page.data(), page.size()) != 4096 || ::fdatasync(fd.get()) != 0)
      throw std::runtime_error("sync");
  return n / seconds_since(start);
}

// A package around one program, pushed by the real command line.
inline void push(const Setting& setting, const Hub& hub, const std::string& manifest, const fs::path& program = {}) {
  const auto directory = fresh(setting);
  replace_file(directory / "geres.json", manifest);
  if (!program.empty()) fs::copy_file(program, directory / program.filename());
  ::setenv("GERES_TOKEN", hub.token().c_str(), 1);
  const int quiet = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  int status = 0;
  ::waitpid(spawn({(setting.bin / "geres").string(), "--hub", fmt::format("http://127.0.0.1:{}", hub.port()), "package",
                   "push", "bench", directory.string(), "--name", "tools"},
                  quiet),
            &status, 0);
  ::close(quiet);
  if (status != 0) throw std::runtime_error("package push failed");
}

using Parts = std::vector<std::pair<const char*, void (*)(const Setting&)>>;

// Runs the parts that are named, or all, and prints their table. The program's exit status.
inline int run_parts(int argc, char** argv, const Parts& parts) {
  const auto own = fs::canonical("/proc/self/exe").parent_path();
  const Setting setting{own, own / "hub_bench_stamp", own.parent_path() / "bench-work"};
  fs::create_directories(setting.work);
  const std::set<std::string> wanted(argv + 1, argv + argc);
  fmt::print("| what | measured | beside |\n|---|---|---|\n");
  int failed = 0;
  for (const auto& [name, part] : parts) {
    if (!wanted.empty() && !wanted.contains(name)) continue;
    try {
      part(setting);
    } catch (const std::exception& e) {
      row(name, "failed", e.what());
      failed = 1;
    }
  }
  fs::remove_all(setting.work);
  return failed;
}

}  // namespace geres::bench
