// SPDX-License-Identifier: Apache-2.0
// Blobs in an object store (objects/object_store.h), under <tenant>/<sha256>.
//
//   upload:    gathered here → claimed in the index → put → arrived in the index
//   sweep:     there → fading → (a while later, still without a name) removing → the object → the row
//
// An upload that breaks off leaves a claim, and perhaps an object, which are swept like what nothing names. Readers
// with a link get the bytes from the store; for the others this hub reads them through a cache.
#pragma once

#include <filesystem>
#include <memory>

#include "hub/packages/blob_index.h"
#include "hub/packages/blobs.h"
#include "objects/object_store.h"

namespace geres::hub::packages {

struct RemoteOptions {
  std::filesystem::path directory;  // of this hub: uploads gather in it, and what was read is kept
  std::uint64_t reserve = std::uint64_t(256) << 20;
  std::uint64_t cache_bytes = std::uint64_t(1) << 30;
  Millis probe_every = 5'000;                          // whether it is back while it is away; else six times as seldom
  std::uint64_t part_bytes = std::uint64_t(64) << 20;  // what hosts bring by links is in parts where it is larger
  Millis fade = 3'600'000;  // longer than any request between a look whether a blob is there and naming it
};

// `store` must have passed its check(). The marker that says whose place it is is not looked at here.
std::unique_ptr<Blobs> open_remote_blobs(std::shared_ptr<objects::ObjectStore> store, BlobIndex& index,
                                         const Clock& clock, RemoteOptions options);

// The object of a blob: "<tenant>/<sha256>".
std::string object_of(const store::BlobKey& key);

// Makes the index know all blobs that lie in the store, put there by an earlier life of this hub or copied. Returns how
// many; other objects are left alone.
[[nodiscard]] Result<std::size_t> adopt_objects(objects::ObjectStore& store, BlobIndex& index);

}  // namespace geres::hub::packages
