// SPDX-License-Identifier: Apache-2.0
// Which jobs are meant, from the query of a list or the body of a bulk verb. Both are narrowed to what the caller may
// see.
#pragma once

#include <optional>

#include "hub/api/call.h"
#include "wire/api/things.h"

namespace geres::hub::api {

// nullopt: nothing that the caller may see can match.
using Narrowed = std::optional<store::JobFilter>;

// Blocking, because batches and short ids are looked up.
Result<Narrowed> filter_of_query(Api& api, const Identity& who, const http::Query& query);
Result<Narrowed> filter_of_body(Api& api, const Identity& who, const wire::FilterShape& shape);

// A batch by id or name, among those that the caller may see; `tenant` narrows the search. Blocking. `field` names the
// place of the name for errors: unknownBatch, or badValue if several batches have that name.
Result<store::StoredBatch> find_batch(Api& api, const Identity& who, const std::string& batch,
                                      const std::string& tenant, const std::string& field);
bool sees_batch(const Identity& who, const model::Batch& batch);

}  // namespace geres::hub::api
