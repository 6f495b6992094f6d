// SPDX-License-Identifier: Apache-2.0
// The flags that select jobs, the same for list, cancel and redrive: as a query, and as the filter in the body of bulk
// calls.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"

namespace geres::cli {

std::vector<Flag> filter_flags();
client::Query filter_query(Context& context);
json::object filter_body(Context& context);
std::string filter_words(Context& context);  // "--batch photos --state failed", for messages

Flag tenant_flag();
Flag reason_flag();  // of a failure; not for cancel, whose --reason is the text to be stored
Flag batch_flag(std::string help);

std::string why_sentence(const json::value& why);  // one sentence of GET /v1/jobs/{id}/why

}  // namespace geres::cli
