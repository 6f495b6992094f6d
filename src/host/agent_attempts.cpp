// SPDX-License-Identifier: Apache-2.0
// The steps of one attempt, in order. Between any two of them a cancel, a stop or a lost lease may have ended the
// attempt, so a step that starts from another thread or on an answer of the hub first checks whether it is still
// wanted.
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/log.h"
#include "host/agent.h"
#include "host/data_lock.h"
#include "host/run_spec.h"
#include "wire/job_channel.h"

namespace geres::host {
namespace {

using model::Outcome;

constexpr std::size_t kUploadsAtOnce = 4;
constexpr Millis kStartedDelay = 50;  // so that a short job takes one report
constexpr Millis kLogDelay = 100;
constexpr Millis kFirstLogDelay = 5;
constexpr std::size_t kRunnerDeathsMax = 3;
constexpr Millis kRunnerDeathsWithin = 60'000;
constexpr std::uint64_t kFilesLeftMin = 1'000;

// Whether the host, not the job, is to blame that a package or an input did not arrive or could not be used.
bool is_host_trouble(const Error& error) {
  return error.code == Code::storageFull || error.code == Code::internal;
}

Outcome outcome_of_launch(const Error& error) {
  switch (error.code) {
    case Code::unknownType:
      return Outcome::type;
    case Code::missingField:
      return Outcome::aborted;  // the job lacks a parameter, and would again next time
    case Code::badValue:
      return Outcome::aborted;
    default:
      return Outcome::package;
  }
}

// A command that the package itself should contain.
std::optional<std::string> missing_program(const package::Launch& launch, const std::filesystem::path& package) {
  if (launch.command.empty() || !launch.libraries.empty()) return std::nullopt;
  const std::string& program = launch.command.front();
  const std::string inside = package.native() + "/";
  if (!program.starts_with(inside) || ::access(program.c_str(), F_OK) == 0) return std::nullopt;
  return "./" + program.substr(inside.size()) + ": not found in the package";
}

}  // namespace

bool Agent::holds(const AttemptPtr& attempt) const {
  const auto it = attempts_.find(attempt->lease);
  return it != attempts_.end() && it->second == attempt;
}

// ---- preparing

void Agent::prepare(const AttemptPtr& attempt) {
  attempt->phase = Phase::preparing;
  if (attempt->job.id.empty() || attempt->job.tenant.empty())
    return end_without_run(attempt, Outcome::lost, "the hub sent a job without id or tenant");
  if (!attempt->package)
    return end_without_run(attempt, Outcome::type, "the job names no package, and this host runs packages only");
  if (users_) {
    try {
      const auto user = users_->user_of(*attempt->slot, attempt->job.tenant);
      if (!user) return could_not_start(attempt, user.error().message);
      attempt->user = *user;
    } catch (const std::exception& trouble) {
      return could_not_start(attempt, trouble.what());
    }
  }
  const auto preparing = [this, attempt] { return holds(attempt) && attempt->phase == Phase::preparing; };
  attempt->missing = 1 + attempt->inputs.size();
  attempt->input_contents.resize(attempt->inputs.size());
  packages_.get(attempt->job.tenant, attempt->package->sha256, attempt->package->url, preparing,
                [this, attempt, preparing](Result<CachedContent> content) {
                  if (!preparing()) return;
                  if (!content && is_host_trouble(content.error()))
                    return could_not_start(attempt, content.error().message, lacks_room_for(content.error()));
                  if (!content) return end_without_run(attempt, Outcome::package, content.error().message);
                  attempt->package_content = std::move(*content);
                  arrived(attempt);
                });
  for (std::size_t i = 0; i < attempt->inputs.size() && preparing(); ++i) {
    const wire::InputRef& input = attempt->inputs[i];
    inputs_.get(attempt->job.tenant, input.sha256, input.url, preparing,
                [this, attempt, preparing, i](Result<CachedContent> content) {
                  if (!preparing()) return;
                  const auto why = [&] { return "input " + attempt->inputs[i].path + ": " + content.error().message; };
                  if (!content && is_host_trouble(content.error()))
                    return could_not_start(attempt, why(), lacks_room_for(content.error()));
                  if (!content) return end_without_run(attempt, Outcome::failed, why());
                  attempt->input_contents[i] = std::move(*content);
                  arrived(attempt);
                });
  }
}

void Agent::arrived(const AttemptPtr& attempt) {
  if (--attempt->missing == 0) lay_out(attempt);
}

// The few directories are made at once; copying inputs is left to the pool.
void Agent::lay_out(const AttemptPtr& attempt) {
  if (attempt->inputs.empty()) return laid_out(attempt, make_layout(*attempt));
  // A copy, because the loop may change the attempt in the meantime.
  const auto copy = std::make_shared<const Attempt>(*attempt);
  pool_.run([this, attempt, copy] {
    auto layout = make_layout(*copy);
    link_.post([this, attempt, layout = std::move(layout)] { laid_out(attempt, layout); });
  });
}

Result<Agent::Layout> Agent::make_layout(const Attempt& attempt) {
  Layout layout;
  const auto undo = [&](Error error) {
    workspaces_.discard(layout.workspace);
    return error;
  };
  try {
    auto launch = package::find_job(attempt.package_content->path, attempt.job.type, attempt.job.parameters);
    if (!launch) return launch.error();
    layout.launch = std::move(*launch);
    if (auto program = missing_program(layout.launch, attempt.package_content->path))
      return fail(Code::badPackage, *program);
    layout.workspace = workspaces_.make(attempt.user, attempt.job_text);
    for (std::size_t i = 0; i < attempt.inputs.size(); ++i)
      if (auto placed =
              place_input(layout.workspace, attempt.inputs[i].path, attempt.input_contents[i].path, attempt.user);
          !placed)
        return undo(placed.error());
    return layout;
  } catch (const std::system_error& trouble) {
    return undo(fail(Code::internal, trouble.what()));
  } catch (const std::exception& trouble) {
    return undo(fail(Code::internal, trouble.what()));
  }
}

void Agent::laid_out(const AttemptPtr& attempt, Result<Layout> layout) {
  if (!holds(attempt) || attempt->phase != Phase::preparing) {
    if (layout)
      sweepers_.run(
          [this, workspace = layout->workspace, user = attempt->user] { workspaces_.give_back(workspace, user); });
    return;
  }
  if (!layout) {
    if (is_host_trouble(layout.error())) return could_not_start(attempt, layout.error().message);
    return end_without_run(attempt, outcome_of_launch(layout.error()), layout.error().message);
  }
  attempt->workspace = layout->workspace;
  attempt->input_contents.clear();
  if (attempt->stops_at() <= clock_.monotonic())
    return end_without_run(attempt, Outcome::released, "given back: the lease ended before the job could start");
  if (!runner_works_)
    return end_without_run(attempt, Outcome::released, "given back: the host's runner is being started anew");
  launch(attempt, layout->launch);
}

// ---- running

void Agent::launch(const AttemptPtr& attempt, const package::Launch& launch) {
  attempt->phase = Phase::running;
  attempt->deadline_told = attempt->deadline;
  if (!open_to_job(*attempt->workspace, attempt->user))
    return could_not_start(attempt,
                           "the host's disk: " + attempt->workspace->root.string() + ": " + std::strerror(errno));
  if (!runner_->start(spec_of(*attempt, launch))) return could_not_start(attempt, "the host's runner has died");
  disk_.add(attempt->lease, attempt->workspace->job());
}

wire::RunSpec Agent::spec_of(Attempt& attempt, const package::Launch& launch) const {
  attempt.end_facts.library = !launch.libraries.empty();
  attempt.end_facts.timeout_ms = attempt.timeout_ms > 0 ? attempt.timeout_ms : launch.timeout.value_or(0);
  wire::RunSpec spec = run_spec(options_, runner_->hello(),
                                {.key = attempt.lease,
                                 .slot = *attempt.slot,
                                 .argv = package::command_line(launch, attempt.job.type, options_.loader_path),
                                 .job = attempt.job,
                                 .workspace = *attempt.workspace,
                                 .package = attempt.package_content->path,
                                 .user = attempt.user,
                                 .user_name = user_name(attempt.user, *attempt.slot),
                                 .timeout_ms = attempt.end_facts.timeout_ms});
  spec.deadline = {attempt.deadline, attempt.stop_before()};
  return spec;
}

// If there is less memory than jobs were used to, that should be known before the first of them ends.
void Agent::say_what_limits_there_are() const {
  const auto& runner = runner_->hello();
  if (const auto memory = default_memory(options_); memory > 0 && memory < machine_memory())
    log::event(log::Level::info, "jobs that ask for no memory are limited",
               {{"bytes", memory}, {"flag", "--default-memory"}});
  if (runner.memoryHeld == wire::LimitHeld::watched || runner.tasksHeld == wire::LimitHeld::watched)
    log::event(log::Level::warn, "limits are looked at, not held by the kernel",
               {{"memory", json::write(runner.memoryHeld).get_string().c_str()},
                {"processes", json::write(runner.tasksHeld).get_string().c_str()},
                {"why", runner.limitsDetail}});
}

// An attempt gets the smaller of what it should have and what this host itself may have.
void Agent::say_which_limits_are_less() const {
  const auto look = [](int which, std::optional<std::int64_t> wanted, const char* what, const char* flag) {
    rlimit own{};
    if (!wanted || ::getrlimit(which, &own) != 0 || own.rlim_max >= rlim_t(*wanted)) return;
    log::event(log::Level::warn, "jobs may have less, as this host has no more itself",
               {{"of", what}, {"most", std::int64_t(own.rlim_max)}, {"wanted", *wanted}, {"ulimit", flag}});
  };
  const auto limits = run_limits(options_, runner_->hello(), {users_ ? 1U : 0U, 0}, 0);
  look(RLIMIT_NPROC, limits.processes, "processes and threads together", "-Hu");
  look(RLIMIT_NOFILE, limits.openFiles, "open files each", "-Hn");
  look(RLIMIT_FSIZE, limits.fileBytes, "bytes in a file", "-Hf");
  const auto say = [](int which, const char* what, const char* flag) {
    rlimit own{};
    if (::getrlimit(which, &own) != 0 || own.rlim_max == RLIM_INFINITY) return;
    log::event(log::Level::warn, "jobs may have less, as this host has no more itself",
               {{"of", what}, {"most", std::int64_t(own.rlim_max)}, {"ulimit", flag}});
  };
  say(RLIMIT_AS, "bytes of address space", "-Hv");
  say(RLIMIT_DATA, "bytes of data", "-Hd");
}

void Agent::attach_runner() {
  RunnerClient::Callbacks callbacks;
  callbacks.started = [this](const wire::RunStarted& started) {
    link_.post([this, started] { run_started(started); });
  };
  callbacks.progress = [this](const wire::RunProgress& progress) {
    link_.post([this, progress] { run_progress(progress); });
  };
  callbacks.log_grew = [this](const wire::RunLog& log) { link_.post([this, log] { run_log(log); }); };
  callbacks.held = [this](const wire::RunHeld& held) { disk_.held(held.key, held.bytes); };
  callbacks.exited = [this](wire::RunResult result) {
    link_.post([this, result = std::move(result)] { run_exited(result); });
  };
  callbacks.lost = [this](std::vector<std::string> keys, std::string why) {
    link_.post([this, keys = std::move(keys), why = std::move(why)] { runner_lost(keys, why); });
  };
  runner_->attach(std::move(callbacks));
}

void Agent::run_started(const wire::RunStarted& started) {
  const auto it = attempts_.find(started.key);
  if (it == attempts_.end()) return;
  it->second->started = true;
  ++figures_.started;
  figures_.start_seconds.observe(double(clock_.monotonic() - it->second->taken_at) / 1'000);
  resting_.started(it->second->job.id);
  member_.within(kStartedDelay);
}

void Agent::run_progress(const wire::RunProgress& progress) {
  const auto it = attempts_.find(progress.key);
  if (it == attempts_.end() || it->second->phase == Phase::ended) return;
  auto& item = it->second->progress;
  if (!item) item = wire::ProgressItem{progress.key};
  if (progress.percent) item->percent = *progress.percent;
  if (!progress.message.empty()) item->message = progress.message;
  reporter_.progress_is_new();
}

void Agent::run_log(const wire::RunLog& log) {
  const auto it = attempts_.find(log.key);
  if (it == attempts_.end() || it->second->phase != Phase::running) return;
  it->second->out.size = log.stdoutBytes;
  it->second->err.size = log.stderrBytes;
  // The first progress after a pause is sent at once, later ones together.
  const Millis now = clock_.monotonic();
  const Millis due = std::max(now + kFirstLogDelay, log_report_due_);
  log_report_due_ = due + kLogDelay;
  member_.within(due - now);
}

void Agent::run_exited(const wire::RunResult& result) {
  const auto it = attempts_.find(result.key);
  if (it == attempts_.end()) return;
  const AttemptPtr attempt = it->second;
  if (attempt->stop_at > 0) figures_.kill_seconds.observe(double(clock_.monotonic() - attempt->stop_at) / 1'000);
  free_slot(*attempt);
  if (attempt->dropped) return forget(attempt);
  attempt->out.size = result.stdout_.keptBytes;
  attempt->err.size = result.stderr_.keptBytes;
  if (result.end == wire::RunEnd::startFailed && result.hostTrouble) return could_not_start(attempt, result.reason);
  collect(attempt, judge(attempt->lease, result, attempt->end_facts));
}

// Everything that the runner ran has ended with it.
void Agent::runner_lost(const std::vector<std::string>& keys, const std::string& why) {
  log::event(log::Level::err, "runner died", {{"error", why}, {"attempts", keys.size()}});
  for (const auto& key : keys) {
    const auto it = attempts_.find(key);
    if (it == attempts_.end() || it->second->phase != Phase::running) continue;
    const AttemptPtr attempt = it->second;
    if (attempt->dropped)
      forget(attempt);
    else
      end_without_run(attempt, Outcome::lost, "the host's runner died");
  }
  replace_runner(why);
}

// A few deaths of the runner a minute are tolerated.
void Agent::replace_runner(const std::string& why) {
  runner_works_ = false;
  const Millis now = clock_.monotonic();
  std::erase_if(runner_deaths_, [&](Millis at) { return now - at > kRunnerDeathsWithin; });
  runner_deaths_.push_back(now);
  if (runner_deaths_.size() > kRunnerDeathsMax) {
    broken_ = fail(Code::internal, "no runner can be kept running: " + why + "; its jobs were given back");
    return stop_by(0);
  }
  link_.after(Millis(runner_deaths_.size() - 1) * 200, [this] { pool_.run([this] { start_new_runner(); }); });
}

// On the pool, since it waits for the new runner's first message. The forked process only makes system calls until it
// executes the runner, so the agent's other threads do not endanger it.
void Agent::start_new_runner() {
  runner_->close();
  auto launched = RunnerClient::launch(runner_options(options_, lock_.get(), users_));
  auto runner = std::make_shared<Result<std::unique_ptr<RunnerClient>>>(std::move(launched));
  link_.post([this, runner] {
    if (finished_) return;
    if (!*runner) return replace_runner(runner->error().message);
    runner_ = std::move(**runner);
    note_runner(lock_, runner_->pid());
    runner_works_ = true;
    log::event(log::Level::info, "runner started anew", {});
    attach_runner();
  });
}

// ---- collecting

void Agent::collect(const AttemptPtr& attempt, wire::FinishedItem item) {
  attempt->phase = Phase::collecting;
  try {
    if (!has_result(item.outcome)) return end(attempt, std::move(item));
    if (auto result = read_result(*attempt->workspace, attempt->user)) {
      item.result = std::move(result->text);
      item.resultTruncated = result->truncated;
    }
    if (!has_output(*attempt->workspace, attempt->user)) return end(attempt, std::move(item));
  } catch (const std::exception& trouble) {
    return end_without_run(attempt, Outcome::lost, trouble.what());
  }
  const OutputLimits limits{options_.artifacts_max, options_.artifact_bytes_max};
  pool_.run(
      [this, attempt, item = std::move(item), workspace = *attempt->workspace, user = attempt->user, limits]() mutable {
        auto harvest = gather_output(workspace, user, limits);
        link_.post([this, attempt, item = std::move(item), harvest = std::move(harvest)]() mutable {
          gathered(attempt, std::move(item), std::move(harvest));
        });
      });
}

void Agent::gathered(const AttemptPtr& attempt, wire::FinishedItem item, Harvest harvest) {
  if (!holds(attempt) || attempt->phase != Phase::collecting) return;
  attempt->harvest = std::move(harvest);
  attempt->finished = std::move(item);
  attempt->next_upload = 0;
  upload_more(attempt);
}

void Agent::upload_more(const AttemptPtr& attempt) {
  const auto& files = attempt->harvest.files;
  while (attempt->phase == Phase::collecting && attempt->next_upload < files.size() &&
         attempt->uploads_flying < kUploadsAtOnce)
    upload(attempt, attempt->next_upload++);
  if (attempt->phase == Phase::collecting && attempt->uploads_flying == 0 && attempt->next_upload >= files.size())
    uploaded_all(attempt);
}

void Agent::uploaded_all(const AttemptPtr& attempt) {
  auto& [files, left_out] = attempt->harvest;
  std::erase_if(files, [](const OutputFile& file) { return file.sha256.empty(); });
  wire::FinishedItem item = std::move(*attempt->finished);
  item.files.clear();
  for (const auto& file : files) item.files.push_back({file.path, file.size, file.sha256});
  if (left_out.count > 0) {
    item.filesLeftOut = wire::FilesLeftOutShape{left_out.count, left_out.named};
    say(log::Level::warn, "files left out", *attempt,
        {{"files", left_out.count}, {"path", left_out.named.front().path}, {"why", left_out.named.front().why}});
  }
  end(attempt, std::move(item));
}

// While uploads are in progress the other files keep their places: that a file is left out shows in its empty digest.
void Agent::leave_out(Attempt& attempt, std::size_t file, std::string why) {
  auto& harvest = attempt.harvest;
  harvest.leave_out(harvest.files[file].path, std::move(why));
  harvest.files[file].sha256.clear();
}

void Agent::upload(const AttemptPtr& attempt, std::size_t index) {
  const auto& membership = member_.membership();
  if (!membership) return;
  const OutputFile& file = attempt->harvest.files[index];
  auto fd = std::make_shared<Fd>(open_output(*attempt->workspace, attempt->user, file));
  struct stat facts {};
  if (!*fd || ::fstat(fd->get(), &facts) != 0 || facts.st_size < file.size)
    return leave_out(*attempt, index, "it changed before it was sent");
  ++attempt->uploads_flying;
  sender_.send(*membership, {attempt->lease, file.path, std::move(fd), file.size, file.sha256},
               [this, attempt, index](const HubAnswer& answer) { uploaded(attempt, index, answer); });
}

void Agent::uploaded(const AttemptPtr& attempt, std::size_t index, const HubAnswer& answer) {
  --attempt->uploads_flying;
  if (!holds(attempt) || attempt->phase != Phase::collecting) return;
  if (answer.ok()) {
    attempt->upload_tries = 0;
    return upload_more(attempt);
  }
  if (answer.status == 409) return lose(attempt->lease);
  if (answer.again()) {
    const Millis pause = std::max(answer.retry_after_ms, backoff(++attempt->upload_tries, 100, 5'000));
    ++attempt->uploads_flying;  // the pause counts as an upload in progress
    return link_.after(pause, [this, attempt, index] {
      --attempt->uploads_flying;
      if (!holds(attempt) || attempt->phase != Phase::collecting) return;
      upload(attempt, index);
      upload_more(attempt);
    });
  }
  // The answer to the next report will say why.
  if (answer.status == 401 || answer.status == 404 || answer.status == 410) return;
  attempt->upload_tries = 0;
  leave_out(*attempt, index, "the hub refused it: " + answer.trouble);
  upload_more(attempt);
}

// ---- ended

void Agent::end(const AttemptPtr& attempt, wire::FinishedItem item) {
  free_slot(*attempt);
  ++figures_.ended[std::size_t(item.outcome)];
  attempt->phase = Phase::ended;
  attempt->finished = std::move(item);
  attempt->package_content.reset();
  attempt->input_contents.clear();
  member_.within(0);
}

void Agent::end_without_run(const AttemptPtr& attempt, model::Outcome outcome, std::string error) {
  if (outcome == Outcome::lost) say(log::Level::err, "attempt lost", *attempt, {{"error", error}});
  end(attempt, ended_without_run(attempt->lease, outcome, std::move(error)));
}

// There is space again, so it was this job that was too large: what it had taken is free by now.
bool Agent::lacks_room_for(const Error& error) const {
  struct statvfs disk {};
  if (error.code != Code::storageFull || ::statvfs(options_.data.c_str(), &disk) != 0) return false;
  const bool files_left = disk.f_files == 0 || disk.f_favail > kFilesLeftMin;
  return files_left && std::int64_t(disk.f_bavail) * std::int64_t(disk.f_frsize) >= options_.scratch.reserve;
}

void Agent::could_not_start(const AttemptPtr& attempt, std::string why, bool too_large) {
  const auto now = clock_.monotonic();
  if (too_large && resting_.was_too_large(attempt->job.id, now)) {
    say(log::Level::warn, "no room for a job", *attempt, {{"error", why}});
    return end_without_run(attempt, Outcome::released, std::string(wire::kNoRoom) + why);
  }
  if (resting_.is_hopeless(attempt->job.id, now)) return end_without_run(attempt, Outcome::lost, std::move(why));
  const auto pause = resting_.could_not_start(attempt->job.id, now);
  link_.after(pause, [] {});
  say(log::Level::warn, "job could not start", *attempt, {{"error", why}, {"restsMs", pause}});
  end_without_run(attempt, Outcome::released, std::string(wire::kNotStarted) + why);
}

void Agent::forget(const AttemptPtr& attempt) {
  free_slot(*attempt);
  if (attempt->workspace) clear(*attempt);
  attempts_.erase(attempt->lease);
}

// Where processes may have escaped, a directory is not used twice.
void Agent::clear(const Attempt& attempt) {
  const bool contained = runner_->containment() != wire::Containment::bestEffort;
  sweepers_.run([this, contained, workspace = *attempt.workspace, user = attempt.user] {
    if (contained)
      workspaces_.give_back(workspace, user);
    else
      workspaces_.discard(workspace);
  });
}

// The slot's next job may belong to another tenant.
void Agent::free_slot(Attempt& attempt) {
  disk_.remove(attempt.lease);
  if (!attempt.slot) return;
  const auto slot = *attempt.slot;
  attempt.slot.reset();
  if (attempt.workspace) close_to_job(*attempt.workspace);
  if (attempt.user.uid == 0 || !attempt.workspace) return runner_slots_.push_back(slot);
  const bool contained = runner_->containment() != wire::Containment::bestEffort;
  cleaners_.run([this, slot, contained, user = attempt.user] {
    if (!contained) kill_processes_of(user.uid, user.gid);
    places_->remove_left_by(user.uid);
    remove_keys_of(user.uid, user.gid);
    link_.post([this, slot] { runner_slots_.push_back(slot); });
  });
}

}  // namespace geres::host
