// SPDX-License-Identifier: Apache-2.0
#include "scaler_child.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <system_error>

#include "base/backoff.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/sha256.h"
#include "cli/client/client.h"
#include "cli/trouble.h"

extern char** environ;

namespace geres::apps {
namespace {

constexpr const char* kParent = "GERES_SCALER_PARENT";  // "pid holder"
constexpr Millis kLookEvery = 1'000;
constexpr Millis kPauseFirst = 500, kPauseMost = 60'000;
constexpr Millis kGood = 60'000;     // it ran for so long: what ended it is no habit
constexpr Millis kStopTime = 3'000;  // then it is killed, which costs it nothing

std::string machine_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

std::string first_line(const std::filesystem::path& file) {
  const auto text = read_file_if(file).value_or("");
  return text.substr(0, text.find_first_of("\r\n"));
}

}  // namespace

void ScalerChild::look() {
  const auto now = clock_.monotonic();
  if (pid_ != 0) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) ended(status);
    return;
  }
  if (now < look_at_) return;
  look_at_ = now + kLookEvery;
  if (options_.wanted()) start();
}

void ScalerChild::ended(int status) {
  const auto now = clock_.monotonic();
  tries_ = now - started_at_ >= kGood ? 1 : tries_ + 1;
  const auto pause = backoff(tries_, kPauseFirst, kPauseMost);
  log::event(log::Level::warn, "the scaler has ended and is started again",
             {{"pid", pid_},
              {"how", WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                          : "exit code " + std::to_string(WEXITSTATUS(status))},
              {"inMs", pause}});
  look_at_ = now + pause;
  pid_ = 0;
}

void ScalerChild::start() {
  std::string token;
  try {
    token = first_line(options_.token_file);
  } catch (const std::system_error&) {  // said below
  }
  if (token.empty()) {
    if (!std::exchange(said_, true))
      log::event(log::Level::warn, "no scaler is started: there is no admin token for it",
                 {{"file", options_.token_file.string()}, {"instead", "geres scaler run with a token of an operator"}});
    return;
  }
  Program program;
  program.argv = {std::filesystem::read_symlink("/proc/self/exe").string(),
                  "scaler",
                  "run",
                  "--quiet",
                  "--hub",
                  options_.hub,
                  "--data",
                  options_.data.string(),
                  "--log",
                  options_.log_level};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (const auto equals = text.find('='); equals != std::string::npos)
      program.environment[text.substr(0, equals)] = text.substr(equals + 1);
  }
  program.environment["GERES_TOKEN"] = token;
  // The data directory is locked by this hub, so the name is of one child at a time.
  program.environment[kParent] =
      std::to_string(::getpid()) + " " + machine_name() + ":hub:" + sha256_hex(options_.data.string()).substr(0, 8);
  try {
    pid_ = start_program(program, -1, 2, 2);
  } catch (const std::system_error& error) {
    ++tries_;
    look_at_ = clock_.monotonic() + backoff(tries_, kPauseFirst, kPauseMost);
    log::event(log::Level::err, "the scaler cannot be started", {{"error", error.what()}});
    return;
  }
  started_at_ = clock_.monotonic();
  log::event(log::Level::info, "scaler started", {{"pid", pid_}});
}

void ScalerChild::stop() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGTERM);
  const auto until = clock_.monotonic() + kStopTime;
  int status = 0;
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (clock_.monotonic() >= until) ::kill(pid_, SIGKILL);
    ::usleep(10'000);
  }
  pid_ = 0;
}

std::optional<std::string> bound_to_parent() {
  const char* text = std::getenv(kParent);
  if (text == nullptr) return std::nullopt;
  const std::string said = text;
  ::unsetenv(kParent);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const auto space = said.find(' ');
  if (std::to_string(::getppid()) != said.substr(0, space)) std::_Exit(0);  // it has ended before that was asked for
  return said.substr(space + 1);
}

void set_local_pool(const std::string& hub, const std::string& token, int least, int most) {
  cli::client::Options options;
  options.hub = hub;
  options.token = token;
  cli::client::Client client(std::move(options));
  const std::string path = "/v1/scaler/pools/here";
  const auto refuse = [](const cli::client::Failure& failure) {
    throw cli::Trouble{cli::kFailed, "--pool: " + failure.error.message, {}, failure.error.hint, {}, "--pool"};
  };
  const auto now = client.get(path);
  if (!now && now.error().status != 404) refuse(now.error());
  // Hosts of this machine are up in a second, so they may go and come again soon.
  json::object pool{
      {"provider", {{"name", "local"}}},
      {"policy", {{"name", "messageWaitingTime"}, {"wait", "10s"}}},
      {"limits", {{"interval", "5s"}, {"idleTime", "30s"}, {"scaleInWindow", "30s"}, {"cooldownIn", "10s"}}}};
  if (now) {
    if (cli::client::text_of(cli::client::member_of(*now, "provider"), "name") != "local")
      throw cli::Trouble{cli::kFailed, "--pool: the pool 'here' is not one of this machine",
                         {},           "leave out --pool, or geres scaler pool delete here --drain",
                         {},           "--pool"};
    pool = now->get_object();
  }
  auto& limits = pool["limits"].get_object();
  limits["minimum"] = least, limits["maximum"] = most;
  if (const auto set = client.put(path, pool); !set) refuse(set.error());
}

}  // namespace geres::apps
