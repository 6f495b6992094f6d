// SPDX-License-Identifier: Apache-2.0
// Which jobs are meant: from a list's query, or from the body of a bulk verb. Both are narrowed to what the caller may
// see.
#pragma once

#include <optional>

#include "hub/api/call.h"
#include "wire/api/things.h"

namespace geres::hub::api {

// nullopt: nothing that the caller may see can fit.
using Narrowed = std::optional<store::JobFilter>;

// Blocking, as batches and short ids are looked up.
Result<Narrowed> filter_of_query(Api& api, const Identity& who, const http::Query& query);
Result<Narrowed> filter_of_body(Api& api, const Identity& who, const wire::FilterShape& shape);

// A batch by id or name among those the caller may see; `tenant` narrows it further. Blocking. `field` says where the
// name came from. unknownBatch; badValue if several have that name.
Result<store::StoredBatch> find_batch(Api& api, const Identity& who, const std::string& batch,
                                      const std::string& tenant, const std::string& field);
bool sees_batch(const Identity& who, const model::Batch& batch);

}  // namespace geres::hub::api
