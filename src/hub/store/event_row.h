// SPDX-License-Identifier: Apache-2.0
// The event log's rows. An event carries as typed data what it alone knows: how its subject stood just then. The JSON
// of that data is made here and nowhere else; a store keeps it as the text, and whoever tells the event shows the same
// members.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "base/error.h"
#include "base/uuid.h"
#include "model/attempt.h"
#include "model/batch.h"

namespace geres::hub::store {

using EventNo = std::int64_t;  // position in the event log, from 1, no holes

enum class EventType {
  job_submitted,
  job_ready,
  job_leased,
  job_started,
  job_progressed,
  job_retrying,
  job_finished,
  job_failed,
  job_cancelled,
  batch_created,
  batch_closed,
  batch_cancelled,
  batch_completed,
  host_joined,
  host_draining,
  host_left,
  host_lost,
  scaler_decided,
  scaler_failed,
  scaler_recovered,
};
constexpr int kEventTypes = int(EventType::scaler_recovered) + 1;

// "geres.job.submitted" and so on.
std::string_view event_name(EventType type);

constexpr bool about_job(EventType type) {
  return type <= EventType::job_cancelled;
}

constexpr bool about_pool(EventType type) {
  return type >= EventType::scaler_decided;
}

// A bit for each event type that matches one of the names; a name may end with '*' to match a prefix, and no names
// match all types. Fails with badValue, which suggests the nearest name.
constexpr std::uint32_t type_bit(EventType type) {
  return std::uint32_t(1) << unsigned(type);
}
Result<std::uint32_t> event_types_of(std::span<const std::string> names, std::string_view field);

// ---- what events tell -----------------------------------------------------------------------------------------------

struct AtHost {  // leased, started
  std::string host;
  bool operator==(const AtHost&) const = default;
};

struct Progressed {
  model::Progress progress;
  bool operator==(const Progressed&) const = default;
};

struct LastFailure {
  int failures = 0;
  int host_losses = 0;
  std::string error;
  bool operator==(const LastFailure&) const = default;
};

struct Retrying {
  Millis due_at = 0;
  LastFailure last;
  std::int64_t memory = 0;  // bytes that the next attempt asks for, where that is more than the last one did
  bool operator==(const Retrying&) const = default;
};

struct FailedForGood {
  model::Reason reason = model::Reason::internal;
  std::optional<LastFailure> last;  // none: no attempt was made (queueTimeout)
  bool operator==(const FailedForGood&) const = default;
};

// Submitted, ready, finished and cancelled tell no more than how the job stands.
using JobNews = std::variant<std::monostate, AtHost, Progressed, Retrying, FailedForGood>;

struct JobEvent {
  model::JobState state = model::JobState::ready;
  std::int64_t version = 0;
  int attempt = 0;
  JobNews news;
  bool operator==(const JobEvent&) const = default;
};

struct BatchEvent {
  std::string name;
  model::BatchState state = model::BatchState::open;
  std::int64_t priority = 0;
  bool paused = false;
  bool operator==(const BatchEvent&) const = default;
};

struct BatchCompleted {
  std::string name;
  bool operator==(const BatchCompleted&) const = default;
};

struct HostEvent {
  std::string name;
  int slots = 0;
  bool operator==(const HostEvent&) const = default;
};

// Decided, failed, recovered: what is wanted of a pool, and there.
struct ScalerEvent {
  std::string pool;
  std::int64_t wanted = 0, actual = 0;
  std::string reason;   // in words
  std::string outcome;  // as in a decision
  bool operator==(const ScalerEvent&) const = default;
};

// Empty if the stored text cannot be read. Such an event is told without the members that it changed.
using EventData = std::variant<std::monostate, JobEvent, BatchEvent, BatchCompleted, HostEvent, ScalerEvent>;

boost::json::object event_json(const EventData& data);
std::string event_text(const EventData& data);  // the same as text; empty data: empty
EventData event_data(EventType type, std::string_view text);
boost::json::value progress_json(const model::Progress& progress);  // as an event tells it

// ---------------------------------------------------------------------------------------------------------------------

struct EventRow {
  EventNo no = 0;
  EventType type = EventType::job_submitted;
  Uuid subject;        // none: a pool, which has a name only
  std::string tenant;  // empty: everybody's (hosts) or the operators' (shared batches)
  Uuid batch;          // of a job event
  Millis at = 0;
  EventData data;
};

// As events name it: an id, or the name of a pool.
std::string subject_of(const EventRow& event);

}  // namespace geres::hub::store
