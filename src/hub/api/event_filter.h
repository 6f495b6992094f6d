// SPDX-License-Identifier: Apache-2.0
// Which events a caller asks for, narrowed to what the caller may see.
#pragma once

#include "hub/api/call.h"

namespace geres::hub::api {

// tenant, batch (id or name), job and type of a query; each may be given several times or as "a,b". A type may end with
// '*'. Blocking. unknownJob, unknownBatch, badValue.
Result<events::Filter> event_filter_of_query(Api& api, const Identity& who, const http::Query& query);

using store::event_types_of;

// What the caller may see at all.
events::Filter events_visible_to(const Identity& who);

// Where to read on: an id that an event had; "start": from the oldest kept on; nullopt: from now on. Ids of another log
// (the store was restored) begin at its start as well, with a gap. badValue for one that no event had yet.
struct EventPosition {
  store::EventNo after = 0;
  bool gap = false;  // the id is of another log: what lies between is not known
};
Result<EventPosition> event_position(const Api& api, std::optional<std::string_view> id, std::string_view field);

}  // namespace geres::hub::api
