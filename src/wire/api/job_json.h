// SPDX-License-Identifier: Apache-2.0
// A job as it is shown: GET /v1/jobs/{id}, lists, grants and events all use this one shape. Members that say nothing
// yet (no result, not started) are left out. Their names stand in job_view.h.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "model/attempt.h"

namespace geres::model {
struct Job;
}

namespace geres::wire {

// `batch_name` may be empty when it is not known.
json::object job_json(const model::Job& job, const std::string& batch_name);

void keep_fields(json::object& job, std::span<const std::string> fields);

json::object attempt_json(const model::Attempt& attempt);
json::object file_json(const model::JobFile& file);
void put_files_left_out(json::object& to, const model::FilesLeftOut& left_out);  // nothing, if there are none

}  // namespace geres::wire
