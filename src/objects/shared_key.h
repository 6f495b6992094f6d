// SPDX-License-Identifier: Apache-2.0
// How requests to Azure Blob Storage are signed with an account's key (Shared Key), and links to single blobs (shared
// access signatures, SAS) with an account's key or a user delegation key. Both sign lines of text whose number and
// order depend on the version of the protocol; these are those of kAzureVersion.
//
// learn.microsoft.com/rest/api/storageservices: "Authorize with Shared Key", "Create a service SAS", "Create a user
// delegation SAS".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "transport/call.h"

namespace geres::objects {

constexpr std::string_view kAzureVersion = "2021-12-02";

std::string hmac_sha256_base64(std::string_view key, std::string_view text);

// What of a request its signature covers.
struct SharedKeyRequest {
  std::string method;
  std::string path;                            // of the URL as it is sent, escaped, from the first '/'
  transport::Query query;                      // values not escaped
  std::map<std::string, std::string> headers;  // names in lower case, among them all that begin with x-ms-
  std::uint64_t content_length = 0;
};

std::string shared_key_text(std::string_view account, const SharedKeyRequest& request);
// The header Authorization. `key` is bytes, not base64.
std::string shared_key(std::string_view account, std::string_view key, const SharedKeyRequest& request);

// A key that the store gives to an identity, with which that signs links on its own behalf.
struct UserDelegationKey {
  std::string object_id, tenant_id, start, expiry, service, version;  // as the store gave them
  std::string key;                                                    // bytes
  Millis ends_at = 0;
};

struct BlobSas {
  std::string account, container, blob;  // not escaped
  std::string permissions;               // "r"; "c", which makes a blob but replaces none; "w", which also takes blocks
  Millis expires_at = 0;
  bool https_only = true;
  std::string content_disposition, content_type;  // of the answer to a download; empty: the blob's own
};

// The query that makes a link of a blob's URL. A secret while it lasts.
std::string blob_sas(const BlobSas& sas, std::string_view key);
std::string blob_sas(const BlobSas& sas, const UserDelegationKey& key);

// The text that is signed; `delegated` nullptr: with the account's key.
std::string blob_sas_text(const BlobSas& sas, const UserDelegationKey* delegated);

// "2026-11-30T13:39:17Z": times in a SAS have no fractions.
std::string sas_time(Millis time);

}  // namespace geres::objects
