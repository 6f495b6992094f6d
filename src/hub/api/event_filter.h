// SPDX-License-Identifier: Apache-2.0
// Which events a caller asks for, narrowed to what the caller may see.
#pragma once

#include "hub/api/call.h"

namespace geres::hub::api {

// The parameters tenant, batch (id or name), job and type; each may be given several times or as "a,b". A type may end
// with '*'. Blocking. Errors: unknownJob, unknownBatch, badValue.
Result<events::Filter> event_filter_of_query(Api& api, const Identity& who, const http::Query& query);

using store::event_types_of;

// All events that the caller may see.
events::Filter events_visible_to(const Identity& who);

// Where to read on: after the event with this id; "start": from the oldest that is kept; nullopt: from now on. An id of
// another log (the store was restored) begins at this log's start, with a gap. badValue for an id that no event has had
// yet.
struct EventPosition {
  store::EventNo after = 0;
  bool gap = false;  // the id is of another log, so events in between may be missing
};
Result<EventPosition> event_position(const Api& api, std::optional<std::string_view> id, std::string_view field);

}  // namespace geres::hub::api
