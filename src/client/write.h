// SPDX-License-Identifier: Apache-2.0
// From the structs of client_types.h to bodies and queries for a hub. What was not given is left out.
#pragma once

#include "client/failures.h"
#include "geres/client_types.h"
#include "transport/call.h"

namespace geres::client {

// malformedJson if the parameters are not JSON; the error's `field` begins with `at`.
Answer<json::value> write_spec(const JobSpec& spec, const std::string& at = {});
json::object write_filter(const JobFilter& filter);
json::object write_cancel(const CancelOptions& options);
json::object write_change(const JobChange& change);
json::object write_batch(const BatchSpec& spec);
json::object write_tenant(const TenantSettings& settings);

transport::Query query_of(const JobFilter& filter);
transport::Query query_of(const LogOptions& options);
transport::Query query_of(const EventFilter& filter);

void add(transport::Query& query, std::string_view name, std::string_view value);  // unless the value is empty

}  // namespace geres::client
