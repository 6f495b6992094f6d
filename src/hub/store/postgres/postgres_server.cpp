// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres/postgres_server.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "base/uuid.h"
#include "hub/store/postgres/connection.h"

namespace geres::hub::store::postgres {
namespace {

// Debian keeps the server's programs out of PATH, by version.
std::filesystem::path programs() {
  std::vector<std::filesystem::path> found;
  std::error_code none;
  for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", none))
    if (std::filesystem::exists(version.path() / "bin/postgres")) found.push_back(version.path() / "bin");
  std::sort(found.begin(), found.end());
  if (found.empty()) throw std::runtime_error("no PostgreSQL server is installed (Debian: postgresql)");
  return found.back();
}

// PostgreSQL does not run as root.
const passwd* other_user() {
  return geteuid() == 0 ? getpwnam("postgres") : nullptr;
}

pid_t run(const std::filesystem::path& directory, std::vector<std::string> arguments) {
  std::vector<char*> words;
  for (auto& word : arguments) words.push_back(word.data());
  words.push_back(nullptr);
  const passwd* user = other_user();
  const std::string log = directory / "log";
  const pid_t child = fork();
  if (child != 0) return child;
  if (freopen(log.c_str(), "a", stdout) == nullptr || dup2(1, 2) < 0) _exit(126);
  if (user != nullptr && (setgroups(0, nullptr) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
    _exit(126);
  prctl(PR_SET_PDEATHSIG, SIGQUIT);  // after the change of user, which would undo it
  execv(words[0], words.data());
  _exit(127);
}

void finish(const std::filesystem::path& directory, std::vector<std::string> arguments) {
  int status = 0;
  const std::string name = arguments.front();
  waitpid(run(directory, std::move(arguments)), &status, 0);
  if (status != 0) throw std::runtime_error(name + " failed; see " + (directory / "log").string());
}

}  // namespace

Server::Server(const std::vector<std::string>& settings) : settings_(settings) {
  const std::filesystem::path memory = "/dev/shm";
  directory_ = (std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path()) /
               ("geres-pg-" + random_hex(6));
  std::filesystem::create_directory(directory_);
  if (const passwd* user = other_user(); user != nullptr && chown(directory_.c_str(), user->pw_uid, user->pw_gid) != 0)
    throw std::runtime_error("cannot give " + directory_.string() + " to postgres");
  finish(directory_, {programs() / "initdb", "-D", directory_ / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8",
                      "--locale=C", "--no-sync"});
  start();
}

Server::~Server() {
  if (process_ > 0) stop(SIGQUIT);
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void Server::start() {
  std::vector<std::string> arguments{programs() / "postgres",
                                     "-D",
                                     directory_ / "data",
                                     "-c",
                                     "listen_addresses=",
                                     "-c",
                                     "unix_socket_directories=" + directory_.string()};
  for (const auto& setting : settings_) arguments.insert(arguments.end(), {"-c", setting});
  process_ = run(directory_, arguments);
  for (int tries = 0;; ++tries) {
    int status = 0;
    if (waitpid(process_, &status, WNOHANG) == process_ || tries > 600)
      throw std::runtime_error("PostgreSQL did not start; see " + (directory_ / "log").string());
    try {
      Connection(url("postgres"), "tests", 5'000).ask("SELECT 1");
      return;
    } catch (const StoreFailed&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));  // it says nobody when it is ready
    }
  }
}

void Server::stop(int signal) {
  kill(process_, signal);
  waitpid(process_, nullptr, 0);
  process_ = -1;
}

std::string Server::url(const std::string& database) const {
  return "postgresql:///" + database + "?user=postgres&host=" + directory_.string();
}

std::string Server::new_database() {
  const std::string name = "geres" + std::to_string(++databases_);
  Connection(url("postgres"), "tests", 30'000).script("CREATE DATABASE " + name);
  return url(name);
}

Server& test_server() {
  static Server server({"fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"});
  return server;
}

}  // namespace geres::hub::store::postgres
