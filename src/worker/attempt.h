// SPDX-License-Identifier: Apache-2.0
// One lease and what its handler makes of it. Who may touch what: the grant never changes; the network thread's part is
// the session's and the reports'; the crew's part is under the crew's mutex.
//
//   waiting ──► running ──► ended ──► (accepted or refused: gone)
//
// `dropped` on the way: the lease is lost, and nothing of the attempt is told any more.
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
  json::value job;
  std::string id, type, tenant, parameters;
  Crew* crew = nullptr;

  // the network thread's
  Millis deadline = 0;
  bool dropped = false;
  bool end_in_flight = false;  // the report under way tells it
  bool plainly_told = false;   // the hub refused a report because of it

  // the crew's
  Stage stage = Stage::waiting;
  Millis started_at = 0;
  std::optional<wire::ProgressItem> progress;  // not told yet
  wire::FinishedItem finished;                 // once ended

  std::atomic<StopReason> stopped{StopReason::none};
  std::stop_source stop;
};
using AttemptPtr = std::shared_ptr<Attempt>;

}  // namespace geres::worker
