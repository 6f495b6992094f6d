// SPDX-License-Identifier: Apache-2.0
// The center of the host: holds the attempts, leads each through its steps, and connects claim loop, reporter, caches
// and runner. All of it lives on the link's thread; the threads of the runner's client and of the pool only post to it.
//
//   agent.cpp            registering, leases, what the hub tells
//   agent_attempts.cpp   the steps of one attempt
//   agent_secret.cpp     by which it is known to the hub
//   agent_stop.cpp       the end
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/worker_pool.h"
#include "host/artifact_sender.h"
#include "host/attempt.h"
#include "host/content_cache.h"
#include "host/disk_watch.h"
#include "host/figures.h"
#include "host/job_host.h"
#include "host/job_users.h"
#include "host/leftovers.h"
#include "host/link/hub_link.h"
#include "host/link/member.h"
#include "host/own_secret.h"
#include "host/reporter.h"
#include "host/resting.h"
#include "package/manifest.h"

namespace geres::host {

RunnerClient::Options runner_options(const Options& options, int lock_fd, const std::optional<JobUsers>& users);

class Agent : private Member::Owner {
 public:
  Agent(Options options, JobHost::Prepared prepared);
  ~Agent();

  void start();
  void request_stop(Millis drain_ms);
  Result<void> wait();
  JobHost::Status status() const;
  std::string metrics() const;

 private:
  using AttemptPtr = std::shared_ptr<Attempt>;

  // The directories and files of an attempt, made off the loop where that takes long.
  struct Layout {
    Workspace workspace;
    package::Launch launch;
  };

  // ---- membership
  void begin();
  std::string bearer() const;
  wire::RegisterHost registration() const override;
  std::string isolation() const override;
  std::string pool() const override { return options_.pool; }
  std::string instance() const override { return options_.instance; }
  std::string limits() const override;
  std::optional<std::string> rests() const;
  std::string token() override { return secret_.bearer(); }
  bool has_another_token(const std::string& problem) override;
  void renew_secret();
  void secret_renewed(const HubAnswer& answer);
  void joined() override;
  void refused(Refusal why, const std::string& problem) override;
  std::string advice(const std::string& problem) const;
  void gone() override;
  void reached(bool reached) const override;
  void trouble(const Trouble& what) const override;
  void say(log::Level level, std::string_view message, const Attempt& about, std::vector<log::Member> more = {}) const;

  // ---- each turn of the loop
  void turn();
  int free_slots() const;
  int slots_to_name() const;
  void start_waiting();
  void publish_status();

  // ---- what the hub tells
  void take_in(wire::Fetched fetched, Millis counted_from) override;
  void take_lease(wire::LeaseGrant grant, Millis counted_from);
  void take_report_answer(const wire::Reported& answer, const std::vector<std::string>& running, Millis sent_at);
  void renew(Attempt& attempt, Millis counted_from);
  void cancel(const wire::CancelOrder& order);
  void mode_changed(model::HostMode mode) override;
  void unspeakable(const std::string& lease);
  void lose(const std::string& lease);

  // ---- what the runner tells
  void attach_runner();
  void run_started(const wire::RunStarted& started);
  void run_progress(const wire::RunProgress& progress);
  void run_log(const wire::RunLog& log);
  void run_exited(const wire::RunResult& result);
  void runner_lost(const std::vector<std::string>& keys, const std::string& why);
  void start_new_runner();
  void replace_runner(const std::string& why);

  // ---- steps of an attempt
  void prepare(const AttemptPtr& attempt);
  void arrived(const AttemptPtr& attempt);
  void lay_out(const AttemptPtr& attempt);
  Result<Layout> make_layout(const Attempt& attempt);
  void laid_out(const AttemptPtr& attempt, Result<Layout> layout);
  void launch(const AttemptPtr& attempt, const package::Launch& launch);
  wire::RunSpec spec_of(Attempt& attempt, const package::Launch& launch) const;
  void say_what_limits_there_are() const;
  void say_which_limits_are_less() const;
  void collect(const AttemptPtr& attempt, wire::FinishedItem item);
  void gathered(const AttemptPtr& attempt, wire::FinishedItem item, Harvest harvest);
  void upload_more(const AttemptPtr& attempt);
  void uploaded_all(const AttemptPtr& attempt);
  static void leave_out(Attempt& attempt, std::size_t file, std::string why);
  void upload(const AttemptPtr& attempt, std::size_t index);
  void uploaded(const AttemptPtr& attempt, std::size_t index, const HubAnswer& answer);
  void end(const AttemptPtr& attempt, wire::FinishedItem item);
  void end_without_run(const AttemptPtr& attempt, model::Outcome outcome, std::string error);
  void could_not_start(const AttemptPtr& attempt, std::string why, bool too_large = false);
  bool lacks_room_for(const Error& error) const;
  void forget(const AttemptPtr& attempt);
  void clear(const Attempt& attempt);
  void free_slot(Attempt& attempt);
  bool holds(const AttemptPtr& attempt) const;

  // ---- stopping
  void stop_by(Millis drain_ms);
  void stop_step();
  void give_back_unstarted();
  void stop_running(Millis grace_ms);
  void stop(Attempt& attempt, Millis grace_ms, wire::StopReason why, const std::string& reason = {});
  void finish(Result<void> ended);

  // ---- the disk
  void over_scratch(const std::string& lease, const std::string& reason);

  const Options options_;
  SystemClock clock_;
  Fd lock_;
  WorkerPool pool_;
  std::optional<SharedPlaces> places_;  // isolation user; the cleaner's thread
  WorkerPool cleaners_;                 // clean up a slot before its next attempt
  WorkerPool sweepers_;                 // remove what attempts left, however much; nobody waits for that
  HubLink link_;
  std::unique_ptr<RunnerClient> runner_;
  bool runner_works_ = true;  // false: dead, and a new one is being started
  std::vector<Millis> runner_deaths_;
  std::optional<JobUsers> users_;  // isolation user
  Workspaces workspaces_;
  DiskWatch disk_;
  bool disk_short_ = false;
  Resting resting_;

  std::string name_;
  mutable OwnSecret secret_;
  bool renewing_ = false;
  Millis renew_not_before_ = 0;  // monotonic
  Member member_;
  bool must_register_ = false;  // register again as soon as nothing of the lost membership is left

  std::deque<AttemptPtr> waiting_;
  std::vector<std::uint32_t> runner_slots_;  // the free ones
  Attempts attempts_;
  Figures figures_;
  ContentCache packages_, inputs_;
  ArtifactSender sender_;
  Reporter reporter_;
  Millis log_report_due_ = 0;

  std::optional<Error> broken_;
  bool finished_ = false;

  mutable std::mutex mutex_;
  std::condition_variable ended_changed_;
  std::optional<Result<void>> ended_;
  std::once_flag joined_;
  JobHost::Status status_;
  bool started_ = false;
};

}  // namespace geres::host
