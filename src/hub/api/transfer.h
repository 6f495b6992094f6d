// SPDX-License-Identifier: Apache-2.0
// Bytes in and out of the blob store.
#pragma once

#include "hub/api/call.h"

namespace geres::hub::api {

// The request's body, on its way into the tenant's blobs; not committed yet.
awaitable<Result<std::unique_ptr<packages::Upload>>> receive(Call& call, const std::string& tenant, std::int64_t limit);
awaitable<Result<packages::Blob>> commit(Call& call, packages::Upload& upload, const std::string& expected_sha256 = {});

// A download. The content type follows `name`'s extension, but nothing that a browser would run is served as such.
awaitable<Answered> send_blob(Call& call, const std::string& tenant, const std::string& sha256,
                              const std::string& name);

// The caller is a token that sees the tenant, or a host that names, in the query, a lease of that tenant's that it
// holds.
bool may_download(const Call& call, const std::string& tenant);

std::string_view content_type_of(std::string_view name);
std::string content_disposition(std::string_view name);

}  // namespace geres::hub::api
