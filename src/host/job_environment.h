// SPDX-License-Identifier: Apache-2.0
// The environment of a job's process: the names of wire/job_channel.h and a short list of the host's own variables.
// Nothing else of the host's environment reaches a job.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/workspace.h"

namespace geres::host {

struct JobFacts {
  std::string id;
  std::string tenant;
  std::string type;
  std::string parameters;  // JSON text
  int attempt = 0;
  int slots = 1;
  std::int64_t memory = 0;  // as the job asked; 0: it did not
};

// All variables as "NAME=value". `user` is the user that the job runs as; `own` is the host's environment as main
// received it; `package` may be empty.
std::vector<std::string> job_environment(const JobFacts& job, const Workspace& workspace,
                                         const std::filesystem::path& package, const std::string& user,
                                         const char* const* own);

// The top-level scalars of a JSON object as GERES_PARAM_ variables: strings as they are, numbers and booleans as in
// JSON. Left out are nulls and names that no variable can have.
std::vector<std::pair<std::string, std::string>> parameter_variables(std::string_view parameters);

// W3C trace context: the job is the trace, each attempt a span of its own.
std::string trace_parent(const std::string& job_id);

}  // namespace geres::host
