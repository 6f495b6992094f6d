// SPDX-License-Identifier: Apache-2.0
// Objects as block blobs of a container in Azure Blob Storage, or in a server that speaks like it (Azurite).
//
//   azure:ACCOUNT/CONTAINER[/PREFIX][?option=value&…]
//     endpoint=URL     instead of https://ACCOUNT.blob.core.windows.net; with the account in its path, where the server
//                      wants it there (http://127.0.0.1:10000/devstoreaccount1)
//     auth=key|sas|identity, client_id=…   see azure_credentials.h
//     plaintext=yes    the endpoint may be http:// although it is not on this machine
//
// The container must be there. Requests speak version 2021-12-02 of the protocol (shared_key.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "objects/azure_credentials.h"
#include "objects/object_store.h"
#include "objects/store_url.h"

namespace geres::objects {

struct AzureOptions {
  Patience patience;
  std::uint64_t part_bytes = 8 << 20;  // a larger object is sent in blocks of this size, or of more if it is very large
  const Clock* clock = nullptr;        // nullptr: the system's; must outlive the store
};

// Options of the place that read_store_url may let pass.
const std::vector<std::string>& azure_options();

// Does not call the store; check() does. `badValue` for what cannot be right.
[[nodiscard]] Result<std::unique_ptr<ObjectStore>> open_azure(const StoreUrl& url, const Environment& environment,
                                                              AzureOptions options = {});

}  // namespace geres::objects
