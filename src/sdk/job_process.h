// SPDX-License-Identifier: Apache-2.0
// For tests: one attempt of a job, with directories, environment and FIFO of its own, as a host would start it.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "wire/job_channel.h"

namespace geres::testing {

class JobProcess {
 public:
  using Environment = std::map<std::string, std::string>;

  JobProcess(const std::filesystem::path& package, const std::string& parameters) {
    for (const char* name : {"work", "out"}) std::filesystem::create_directory(home_.path() / name);
    const auto fifo = home_.path() / "progress";
    if (::mkfifo(fifo.c_str(), 0600) != 0) throw std::runtime_error("mkfifo");
    fifo_ = Fd(::open(fifo.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    std::ofstream(home_.path() / "job.json") << R"({"type": "test", "parameters": )" << parameters << "}";
    environment = {{"PATH", "/usr/local/bin:/usr/bin:/bin"},
                   {"LANG", "C.UTF-8"},
                   {wire::kEnvJobId, "0192f0c4-7d3a-7001-8f2e-0123456789ab"},
                   {wire::kEnvTenant, "acme"},
                   {wire::kEnvAttempt, "1"},
                   {wire::kEnvJobFile, (home_.path() / "job.json").string()},
                   {wire::kEnvParameters, parameters},
                   {wire::kEnvPackageDir, package.string()},
                   {wire::kEnvWorkDir, work().string()},
                   {wire::kEnvOutputDir, output().string()},
                   {wire::kEnvProgress, fifo.string()},
                   {wire::kEnvResult, (home_.path() / "result").string()}};
    const auto document = json::parse(parameters).value();
    if (!document.is_object()) return;
    for (const auto& [name, value] : document.get_object())
      if (!value.is_structured())
        environment[wire::kEnvParameterPrefix + std::string(name)] =
            value.is_string() ? std::string(value.get_string()) : boost::json::serialize(value);
  }
  ~JobProcess() {
    if (pid_ > 0) ::kill(-pid_, SIGKILL), ::waitpid(pid_, nullptr, 0);
  }
  JobProcess(const JobProcess&) = delete;
  JobProcess& operator=(const JobProcess&) = delete;

  Environment environment;  // to be changed before start()

  std::filesystem::path work() const { return home_.path() / "work"; }
  std::filesystem::path output() const { return home_.path() / "out"; }

  void start(const std::vector<std::string>& command) {
    std::vector<std::string> variables;
    for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
    auto arguments = pointers(command), entries = pointers(variables);
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    const auto out = (home_.path() / "stdout").string(), err = (home_.path() / "stderr").string();
    ::posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&files, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::posix_spawn_file_actions_addopen(&files, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::posix_spawn_file_actions_addchdir_np(&files, work().c_str());
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    const int error = ::posix_spawnp(&pid_, arguments[0], &files, &attributes, arguments.data(), entries.data());
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
    if (error != 0) pid_ = 0, throw std::system_error(error, std::generic_category(), "start " + command.front());
    pidfd_ = Fd(int(::syscall(SYS_pidfd_open, pid_, 0)));
  }

  void terminate() { ::kill(-pid_, SIGTERM); }

  bool ended_within_ms(int ms) {
    pollfd one = {pidfd_.get(), POLLIN, 0};
    return ::poll(&one, 1, ms) == 1;
  }

  // Reads progress until `line` has come, or the process has ended: false.
  bool wait_for_progress(const std::string& line) {
    return wait_until([&] { return std::find(progress.begin(), progress.end(), line) != progress.end(); });
  }

  // Fills what follows.
  void wait() {
    wait_until([] { return false; });
    int status = 0;
    if (::waitpid(pid_, &status, 0) != pid_) throw std::runtime_error("waitpid");
    pid_ = 0;
    exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    out = read_file(home_.path() / "stdout");
    err = read_file(home_.path() / "stderr");
    result = read_file_if(home_.path() / "result");
  }
  void run(const std::vector<std::string>& command) { start(command), wait(); }

  int exit_code = -1;
  int signal = 0;
  std::string out, err;
  std::optional<std::string> result;
  std::vector<std::string> progress;  // lines

 private:
  static std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> all;
    for (const auto& word : words) all.push_back(const_cast<char*>(word.c_str()));
    all.push_back(nullptr);
    return all;
  }

  template <class Done>
  bool wait_until(const Done& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (;;) {
      read_progress();
      if (done()) return true;
      if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("the job does not end");
      pollfd both[2] = {{fifo_.get(), POLLIN, 0}, {pidfd_.get(), POLLIN, 0}};
      ::poll(both, 2, 1000);
      if ((both[1].revents & POLLIN) != 0) return read_progress(), done();
    }
  }

  void read_progress() {
    char buffer[4096];
    for (ssize_t got; (got = ::read(fifo_.get(), buffer, sizeof buffer)) > 0;)
      partial_.append(buffer, std::size_t(got));
    for (auto end = partial_.find('\n'); end != partial_.npos; end = partial_.find('\n')) {
      progress.push_back(partial_.substr(0, end));
      partial_.erase(0, end + 1);
    }
  }

  TemporaryDirectory home_;
  Fd fifo_, pidfd_;
  pid_t pid_ = 0;
  std::string partial_;
};

}  // namespace geres::testing
