// SPDX-License-Identifier: Apache-2.0
#include "host/job_host.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "host/agent.h"
#include "host/data_lock.h"
#include "host/trial.h"
#include "model/names.h"

namespace geres::host {
namespace {

constexpr int kSlotsMax = 4'096;  // the hub's limit

bool wants_fence(const Options& options) {
  return options.fence.value_or(::geteuid() != 0);
}

// Where programs keep secrets that give access to other things.
constexpr const char* kSecrets[] = {
    ".ssh",           ".gnupg",     ".aws",          ".azure",           ".kube",
    ".docker",        ".netrc",     ".pgpass",       ".npmrc",           ".pypirc",
    ".config/gcloud", ".config/gh", ".config/geres", ".git-credentials", ".local/share/keyrings"};

std::vector<std::string> hidden_paths(const Options& options) {
  std::vector<std::string> paths = options.hidden;
  paths.push_back(std::filesystem::absolute(options.data));
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home != '/' || std::string_view(home) == "/") return paths;
  for (const char* name : kSecrets) paths.push_back(std::string(home) + "/" + name);
  return paths;
}

// Refuses directories that would expose something hidden, or that do not exist.
Result<void> check_writable(const Options& options) {
  for (const auto& directory : options.writable) {
    std::error_code error;
    const auto plain = std::filesystem::canonical(directory, error);
    if (error || !std::filesystem::is_directory(plain, error))
      return fail(Code::badValue, directory + " is not a directory", "writable", "one that exists, by its whole path");
    for (const auto& hidden : hidden_paths(options)) {
      const auto inside = std::filesystem::weakly_canonical(hidden, error).lexically_relative(plain);
      if (!inside.empty() && *inside.begin() != "..")
        return fail(Code::badValue, directory + " holds " + hidden + ", which jobs may not touch", "writable",
                    "a directory that holds nothing of the host's own");
    }
  }
  return {};
}

Result<void> check(const Options& options) {
  if (options.slots < 1 || options.slots > kSlotsMax)
    return fail(Code::badValue, "slots must be from 1 to " + std::to_string(kSlotsMax), "slots");
  if (!options.name.empty())
    if (auto name = model::check_name(options.name, "host name", "name"); !name) return name.error();
  if (options.isolation == Isolation::sandbox)
    return fail(Code::notSupported, "isolation 'sandbox' is not supported yet", "isolation", "use 'user' or 'none'");
  if (options.isolation == Isolation::user && ::geteuid() != 0)
    return fail(Code::badValue, "isolation 'user' needs root: only root can start jobs as other users", "isolation",
                "run the host as root, or use --isolation none");
  if (options.isolation == Isolation::none && ::geteuid() == 0 && !options.allow_root)
    return fail(
        Code::badValue, "isolation 'none' as root would run every job as root", "isolation",
        "--isolation user, which is root's default; or, if every job may do what root may, --allow-root as well");
  if (auto writable = check_writable(options); !writable) return writable.error();
  if (::access(options.runner_path.c_str(), X_OK) != 0)
    return fail(Code::badValue, "the runner is not at " + options.runner_path.string(), "runner");
  return {};
}

// Packages are unpacked and run there, so without this every job would fail, one after the other.
Result<void> can_execute(const std::filesystem::path& data) {
  struct statvfs mount {};
  if (::statvfs(data.c_str(), &mount) == 0 && (mount.f_flag & ST_NOEXEC) != 0)
    return fail(Code::badValue, "programs may not be executed in " + data.string() + ": it is mounted with noexec",
                "data", "a directory on another file system, or mount -o remount,exec");
  return {};
}

// The isolation is never weaker than what was asked for, or than what is safe.
Error cannot_isolate(const Error& why) {
  return fail(Code::badValue, "isolation 'user' cannot be had here: " + why.message, "isolation",
              "run geres as an ordinary user; choose a data directory whose parents everybody may enter, such as "
              "/var/lib/geres; or, if every job may do what root may, --isolation none --allow-root");
}

}  // namespace

bool fences_jobs(const Options& options, const wire::RunnerHello& runner) {
  return wants_fence(options) && runner.landlock > 0;
}

RunnerClient::Options runner_options(const Options& options, int lock_fd, const std::optional<JobUsers>& users) {
  RunnerClient::Options runner;
  runner.runner_path = options.runner_path;
  runner.lock_fd = lock_fd;
  runner.slots = std::uint32_t(options.slots);
  runner.containment = options.containment;
  runner.own_pid_namespace = options.own_pid_namespace;
  if (wants_fence(options)) runner.hidden = hidden_paths(options);
  if (users) {
    runner.reach = {options.data, options.loader_path};
    runner.users = users->names_of_users();
    runner.groups = users->names_of_groups();
  }
  return runner;
}

class JobHost::Impl : public Agent {
 public:
  using Agent::Agent;
};

Result<JobHost::Prepared> JobHost::prepare(const Options& options) {
  if (auto checked = check(options); !checked) return checked.error();
  try {
    make_private_directory(options.data);
    if (options.isolation == Isolation::user) ::chmod(options.data.c_str(), 0711);
    if (auto can = can_execute(options.data); !can) return can.error();
    auto lock = lock_data(options.data, options.lock_wait_ms);
    if (!lock) return lock.error();
    std::optional<JobUsers> users;
    if (options.isolation == Isolation::user) {
      auto claimed = JobUsers::claim(options.data, options.slots, options.uid_block);
      if (!claimed) return claimed.error();
      users = std::move(*claimed);
    }
    auto launched = RunnerClient::launch(runner_options(options, lock->get(), users));
    if (!launched && users) return cannot_isolate(launched.error());
    if (!launched) return launched.error();
    note_runner(*lock, (*launched)->pid());
    if (options.fence == true && (*launched)->hello().landlock == 0)
      return fail(Code::notSupported, "this machine's kernel has no Landlock, or one older than Linux 5.19", "fence",
                  "--fence off, and run the jobs of one trusted person only");
    if (options.isolation == Isolation::user && !(*launched)->hello().canSwitchUser)
      return cannot_isolate(fail(Code::internal, "the runner cannot switch users here"));
    if (auto tried = try_attempt(options, **launched, users); !tried)
      return fail(Code::badValue, "a trial of what jobs would meet here failed: " + tried.error().message, "data",
                  "geres doctor; every job of this host would fail like this");
    // A second runner, because the trial has used up the first.
    launched = RunnerClient::launch(runner_options(options, lock->get(), users));
    if (!launched) return launched.error();
    note_runner(*lock, (*launched)->pid());
    transport::Loop::prepare();
    return Prepared{std::move(*lock), std::move(users), std::move(*launched)};
  } catch (const std::exception& trouble) {
    return fail(Code::internal, std::string("the data directory cannot be used: ") + trouble.what(), "data");
  }
}

JobHost::JobHost(Options options, Prepared prepared) {
  transport::Loop::prepare();
  impl_ = std::make_unique<Impl>(std::move(options), std::move(prepared));
}

JobHost::~JobHost() = default;
void JobHost::start() {
  impl_->start();
}
void JobHost::request_stop(Millis drain_ms) {
  impl_->request_stop(drain_ms);
}
Result<void> JobHost::wait() {
  return impl_->wait();
}
JobHost::Status JobHost::status() const {
  return impl_->status();
}

std::string JobHost::metrics() const {
  return impl_->metrics();
}

void JobHost::stop(Millis drain_ms) {
  impl_->request_stop(drain_ms);
  (void)impl_->wait();
}

std::int64_t machine_memory() {
  return std::int64_t(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGE_SIZE);
}

std::int64_t default_memory(const Options& options) {
  constexpr std::int64_t kLeast = 256 << 20;
  if (options.default_memory) return *options.default_memory;
  const auto all = options.memory > 0 ? options.memory : machine_memory();
  return std::max(kLeast, all / options.slots * 2);
}

Isolation default_isolation() {
  return ::geteuid() == 0 ? Isolation::user : Isolation::none;
}

}  // namespace geres::host
