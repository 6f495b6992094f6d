// SPDX-License-Identifier: Apache-2.0
// Uploads to and downloads from the blob store.
#pragma once

#include "hub/api/call.h"

namespace geres::hub::api {

// The two halves of the next: room for what the request announces, then the (rest of the) body, at most `limit` bytes
// with what the upload has already.
awaitable<Result<std::unique_ptr<packages::Upload>>> begin_upload(Call& call, const std::string& tenant,
                                                                  std::int64_t limit);
awaitable<Result<void>> receive_rest(Call& call, packages::Upload& upload, std::int64_t limit);
// Receives the request's body into the tenant's blobs, without committing it.
awaitable<Result<std::unique_ptr<packages::Upload>>> receive(Call& call, const std::string& tenant, std::int64_t limit);
awaitable<Result<packages::Blob>> commit(Call& call, packages::Upload& upload, const std::string& expected_sha256 = {});

// Answers with a blob. The content type follows the extension of `name`, but is never one that a browser would run.
awaitable<Answered> send_blob(Call& call, const std::string& tenant, const std::string& sha256,
                              const std::string& name);

// The caller is a token that sees the tenant, or a host whose query names a lease that it holds for that tenant.
bool may_download(const Call& call, const std::string& tenant);

std::string_view content_type_of(std::string_view name);

}  // namespace geres::hub::api
