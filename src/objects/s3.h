// SPDX-License-Identifier: Apache-2.0
// Objects in Amazon S3, and in servers that speak like it (Ceph, MinIO, Garage, R2 and others).
//
//   s3:BUCKET[/PREFIX][?region=R&endpoint=URL&style=path|virtual&profile=P&plaintext=yes]
//
// A large object is sent in parts, each with its own digest and tried again by itself. docs/blobs.md is for those who
// set it up.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "objects/credentials.h"
#include "objects/object_store.h"
#include "objects/store_url.h"

namespace geres::objects {

struct S3Options {
  Patience patience;
  std::uint64_t single_bytes_max = 64 << 20;  // what is larger is sent in parts
  std::uint64_t part_bytes = 16 << 20;        // at least 5 MiB; more where there would be more than 10,000 parts
  std::uint64_t copy_bytes_max = 5ull << 30;  // what is larger is copied in parts, by S3's rules
  const Clock* clock = nullptr;               // the system's
  std::function<void(Millis)> pause;          // between two tries; by default this thread sleeps
};

// Options of the place that read_store_url may let pass.
const std::vector<std::string>& s3_options();

// Connects to nothing yet: check() does. `badValue` for a place that cannot be right.
[[nodiscard]] Result<std::unique_ptr<ObjectStore>> open_s3(const StoreUrl& url, Environment environment,
                                                           S3Options options = {});

}  // namespace geres::objects
