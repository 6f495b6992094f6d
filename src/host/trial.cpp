// SPDX-License-Identifier: Apache-2.0
#include "host/trial.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <condition_variable>
#include <mutex>

#include "base/log.h"
#include "host/harvest.h"
#include "host/run_spec.h"

namespace geres::host {
namespace {

constexpr Millis kTimeMax = 20'000;
constexpr const char* kWord = "tried";

// Passes the end of the one attempt on from the client's thread.
class End {
 public:
  void set(Result<wire::RunResult> result) {
    const std::lock_guard lock(mutex_);
    if (!result_) result_ = std::move(result);
    changed_.notify_all();
  }
  // No time limit, because the runner ends the attempt in time.
  Result<wire::RunResult> wait() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::milliseconds(2 * kTimeMax), [&] { return result_.has_value(); }))
      return fail(Code::internal, "it did not end");
    return *result_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Result<wire::RunResult>> result_;
};

std::string sentence(const wire::RunResult& result) {
  if (result.end == wire::RunEnd::startFailed) return result.reason;
  if (result.end == wire::RunEnd::timeout) return "it did not end within " + std::to_string(kTimeMax / 1'000) + " s";
  if (!result.reason.empty()) return result.reason;
  const std::string line = result.lastErrorLine.empty() ? "" : ": " + result.lastErrorLine;
  if (result.signal) return "it was killed by signal " + std::to_string(*result.signal) + line;
  return "exit " + std::to_string(result.exitCode.value_or(-1)) + line;
}

// A directory like that of an unpacked package: read-only, and programs are executed from it.
std::filesystem::path make_package(const Options& options, const JobUser& user) {
  const auto package = options.data / "trial.package";
  remove_tree(package);
  std::filesystem::create_directory(package);
  const Fd program(::open((package / "job").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700));
  if (!program) throw std::system_error(errno, std::generic_category(), "create " + (package / "job").string());
  write_all(program.get(), read_file(options.loader_path));
  for (const auto& path : {package / "job", package})
    if (::chmod(path.c_str(), 0555) != 0 || (user.uid != 0 && ::chown(path.c_str(), 0, user.gid) != 0))
      throw std::system_error(errno, std::generic_category(), "own " + path.string());
  return package;
}

Result<void> check_result(const Workspace& workspace, const JobUser& user, const Options& options) {
  const auto result = read_result(workspace, user);
  if (!result || result->text != kWord) return fail(Code::internal, "its result did not arrive");
  const auto harvest = gather_output(workspace, user, {options.artifacts_max, options.artifact_bytes_max});
  if (harvest.files.size() != 1) return fail(Code::internal, "its output file did not arrive");
  return {};
}

}  // namespace

Result<void> try_attempt(const Options& options, RunnerClient& runner, std::optional<JobUsers>& users) {
  JobUser user;
  if (users) user = users->user_of_trial();
  JobFacts job;
  job.id = "00000000-0000-7000-8000-000000000000";
  job.tenant = job.type = "trial";
  job.parameters = "{}";
  job.attempt = 1;
  Workspaces workspaces(options.data / "trial", options.data / "host.lock");
  std::filesystem::path package;
  Result<void> outcome;
  try {
    if (const auto leftovers = workspaces.start(); !leftovers.empty()) remove_tree(leftovers);
    package = make_package(options, user);
    const Workspace workspace = workspaces.make(user, "{}");
    if (!open_to_job(workspace, user)) throw std::system_error(errno, std::generic_category(), "own a workspace");
    End end;
    RunnerClient::Callbacks callbacks;
    callbacks.exited = [&](wire::RunResult result) { end.set(std::move(result)); };
    callbacks.lost = [&](const std::vector<std::string>&, const std::string& why) {
      end.set(fail(Code::internal, "the runner died: " + why));
    };
    runner.attach(std::move(callbacks));
    runner.start(run_spec(options, runner.hello(),
                          {.key = "trial",
                           .slot = 0,
                           .argv = {package / "job", kTrialFlag},
                           .job = job,
                           .workspace = workspace,
                           .package = package,
                           .user = user,
                           .user_name = user_name(user, 0),
                           .timeout_ms = kTimeMax}));
    const auto result = end.wait();
    runner.close();
    if (!result)
      outcome = result.error();
    else if (result->end != wire::RunEnd::exited || result->exitCode != 0)
      outcome = fail(Code::internal, sentence(*result));
    else
      outcome = check_result(workspace, user, options);
  } catch (const std::exception& trouble) {
    outcome = fail(Code::internal, trouble.what());
  }
  if (!package.empty()) remove_tree(package);
  remove_tree(options.data / "trial");
  return outcome;
}

}  // namespace geres::host
