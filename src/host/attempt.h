// SPDX-License-Identifier: Apache-2.0
// One lease and what this host does with it. Plain data on the loop's thread; agent_attempts.cpp has the steps:
//
//   waiting ──► preparing ──► running ──► collecting ──► ended ──► (accepted or refused: gone)
//   for a slot  package,      by the      result, files   in the
//               inputs        runner      uploaded        next reports
//
// From waiting and preparing it may go straight to ended (cancel, drain, broken package). A lease that the hub calls
// lost is dropped in any phase, as soon as nothing of it runs.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/content_cache.h"
#include "host/harvest.h"
#include "host/job_environment.h"
#include "host/outcome.h"
#include "host/workspace.h"
#include "wire/host/host_protocol.h"

namespace geres::host {

enum class Phase { waiting, preparing, running, collecting, ended };

// How much of a stream's file the hub has been told.
struct LogStream {
  std::int64_t size = 0;   // bytes in the file
  std::int64_t acked = 0;  // that the hub has accepted
};

struct Attempt {
  std::string lease;
  Millis ttl_ms = 0;
  Millis deadline = 0;       // when the lease ends, by the hub's last answer
  Millis deadline_told = 0;  // … as the runner knows it
  JobFacts job;
  std::string job_text;
  std::optional<wire::PackageRef> package;
  std::vector<wire::InputRef> inputs;
  Millis timeout_ms = 0;
  JobUser user;
  Millis taken_at = 0;  // monotonic
  Millis stop_at = 0;   // monotonic: when it was first told to stop; 0: never

  Phase phase = Phase::waiting;
  std::optional<std::uint32_t> slot;  // of the runner
  bool dropped = false;               // the lease is lost, so nothing of it is reported any more

  // preparing
  std::size_t missing = 0;  // downloads in progress
  std::optional<CachedContent> package_content;
  std::vector<CachedContent> input_contents;
  std::optional<Workspace> workspace;
  EndFacts end_facts;

  // collecting
  Harvest harvest;
  std::size_t next_upload = 0;
  std::size_t uploads_flying = 0;
  int upload_tries = 0;

  // to be told
  bool started = false, started_told = false;
  std::optional<wire::ProgressItem> progress;
  LogStream out, err;
  std::optional<wire::FinishedItem> finished;  // told once `ended`, kept until accepted or refused
  bool plainly_told = false;                   // the hub refused a report because of it, so it is told without details

  bool live() const { return phase == Phase::preparing || phase == Phase::running; }  // takes up slots

  // When the runner tells a job to stop because its lease ends, at the earliest. One that begins later is not begun.
  [[nodiscard]] Millis stops_at() const { return deadline - stop_before(); }
  [[nodiscard]] Millis stop_before() const { return ttl_ms / 4; }
};

using Attempts = std::map<std::string, std::shared_ptr<Attempt>>;  // by lease

}  // namespace geres::host
