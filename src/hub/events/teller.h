// SPDX-License-Identifier: Apache-2.0
// Events as they are told to the world: CloudEvents 1.0 in JSON. `data` is the object that the event is about. A job is
// shown as GET /v1/jobs/{id} shows it, without parameters and inputs: what never changes comes from its row, what did
// change (state, version, attempt, progress, …) from the event, so that an event reads the same whenever it is sent.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/json.h"
#include "hub/events/tail.h"

namespace geres::hub::events {

// "<log>-<n>", and back. A log's name has no '-'.
std::string event_id(std::string_view log, EventNo no);
struct EventId {
  std::string log;
  EventNo no = 0;
};
std::optional<EventId> parse_event_id(std::string_view text);

// Events after `after` up to `until` are no longer kept, or (a store that was restored) have never been of this log. As
// an event it has the same id each time, and no number of its own: whoever comes back reads on behind the gap.
struct Gap {
  static constexpr std::string_view kType = "geres.gap";
  std::string after, until;  // ids of events; `after` empty: it is not known
  std::string id() const { return until + "-gap"; }
  std::string data() const;            // as JSON
  std::string event(Millis at) const;  // as a CloudEvent in JSON, found at that time
};

// Any thread.
class Teller {
 public:
  using BatchName = std::function<std::optional<std::string>(Uuid)>;
  Teller(store::Reads& reads, std::string log, BatchName batch_name)
      : reads_(reads), log_(std::move(log)), batch_name_(std::move(batch_name)) {}

  const std::string& log() const { return log_; }
  // The texts of the first of these events, up to and with the one that passes `bytes_max`. Blocking: reads jobs.
  std::vector<TextPtr> texts(std::span<const Told> events, std::size_t bytes_max);
  // The same without blocking, as far as they have been made for somebody before.
  static std::vector<TextPtr> made_texts(std::span<const Told> events, std::size_t bytes_max);
  TextPtr text(const Told& event) { return texts(std::span(&event, 1), 0).front(); }  // blocking

  // One event as JSON; `job` is its job's row if it is about one and is still kept.
  json::object event_json(const EventRow& event, const model::Job* job) const;
  // A job as it is now, in the shape of an event's data.
  json::object job_json(const model::Job& job) const;

 private:
  static TextPtr made_text(const Told& event);
  TextPtr make_text(const Told& event, const model::Job* job) const;
  json::object head_json(const EventRow& event) const;
  json::object data_json(const EventRow& event, const model::Job* job) const;
  store::Reads& reads_;
  const std::string log_;
  const BatchName batch_name_;
};

}  // namespace geres::hub::events
