// SPDX-License-Identifier: Apache-2.0
// Where a bucket is: its server, its region, and how its objects are addressed there.
#pragma once

#include <string>

#include "objects/credentials.h"
#include "objects/endpoint.h"
#include "objects/store_url.h"

namespace geres::objects {

struct S3Place {
  std::string bucket;
  std::string prefix;  // "" or "a/b/"
  std::string region;
  std::string profile;
  Endpoint endpoint;  // without the bucket
  bool path_style = false;
  bool plaintext = false;

  std::string name() const;                        // "s3:builds/geres at https://…"
  std::string authority() const;                   // for the header Host
  std::string path(const std::string& key) const;  // escaped; `key` with the store's prefix, "": the bucket itself
};

[[nodiscard]] Result<S3Place> read_s3_place(const StoreUrl& url, const Environment& environment);

}  // namespace geres::objects
