// SPDX-License-Identifier: Apache-2.0
// One lease and what its handler makes of it. The grant never changes; the network thread's part belongs to the session
// and the reports; the crew's part is guarded by the crew's mutex.
//
//   waiting ──► running ──► ended ──► (accepted or refused: gone)
//
// `dropped` at any point: the lease is lost, and nothing of the attempt is reported any more.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/json.h"
#include "geres/worker.h"
#include "wire/host/host_protocol.h"

namespace geres::worker {

class Crew;
enum class Stage { waiting, running, ended };

struct Attempt : std::enable_shared_from_this<Attempt> {
  // the grant
  std::string lease;
  Millis ttl = 0;
  Millis timeout = 0;  // 0: none
  int number = 0;
  std::string job;  // its JSON
  std::string id, type, tenant;
  std::string parameters;  // their JSON
  json::value parameter_values;
  Crew* crew = nullptr;

  // owned by the network thread
  Millis deadline = 0;
  bool dropped = false;
  bool end_in_flight = false;  // the report in transit carries the end
  bool plainly_told = false;   // the hub refused a report because of it, so it is told without details

  // guarded by the crew's mutex
  Stage stage = Stage::waiting;
  Millis started_at = 0;
  std::optional<wire::ProgressItem> progress;  // not sent yet
  wire::FinishedItem finished;                 // once ended

  std::atomic<StopReason> stopped{StopReason::none};
  std::stop_source stop;
};
using AttemptPtr = std::shared_ptr<Attempt>;

}  // namespace geres::worker
