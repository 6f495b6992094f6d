// SPDX-License-Identifier: Apache-2.0
// Where a hub keeps its packages and files: in a directory of its own, or in somebody's object store.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "hub/engine/engine.h"
#include "hub/hub.h"
#include "hub/packages/blob_index.h"
#include "hub/packages/blobs.h"
#include "hub/packages/package_import.h"
#include "hub/store/reads.h"
#include "objects/object_store.h"

namespace geres::hub {

// The place that the hub of this data directory used last, as --blobs names it; empty: none is known.
std::string last_blob_place(const std::filesystem::path& data);

// Says that a copy of all its blobs is at `place`, so that the hub may be started with it.
void note_copied_blobs(const std::filesystem::path& data, const std::string& place);

// The first GeRes that uses a place leaves its event log's name there. `conflict` if it is another's.
[[nodiscard]] Result<void> claim_place(objects::ObjectStore& objects, const std::string& log);

struct BlobPlace {
  std::unique_ptr<packages::Blobs> blobs;
  std::shared_ptr<objects::ObjectStore> objects;  // where they are elsewhere; null: they are in a directory
  // Once the engine runs, and before anybody is served: what lies in the place is made known. May throw CannotStart.
  std::function<void()> settle;
};

// Opens the place that HubOptions::blobs names. A place elsewhere must be there, allow what is needed, and belong to
// no other GeRes: a marker object in it says whose it is. If it does not answer and has been this hub's place before,
// the hub starts all the same, so that what runs goes on. Throws CannotStart; also when this hub's files were somewhere
// else the last time, because all packages would seem to be gone.
BlobPlace open_blob_place(const HubOptions& options, packages::BlobIndex& index, store::Reads& reads,
                          const Clock& clock);

// What HubOptions::import_layout names; null: nothing. Throws CannotStart if it cannot be looked into.
std::unique_ptr<packages::PackageImport> open_package_import(const HubOptions& options, packages::Blobs& blobs,
                                                             engine::Engine& engine, store::Reads& reads,
                                                             const Clock& clock);

}  // namespace geres::hub
