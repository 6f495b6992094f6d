// SPDX-License-Identifier: Apache-2.0
// From an address as people write it to a store.
#pragma once

#include <memory>
#include <string_view>

#include "objects/environment.h"
#include "objects/object_store.h"

namespace geres::objects {

// "s3:BUCKET[/PREFIX][?…]" or "azure:ACCOUNT/CONTAINER[/PREFIX][?…]", as docs/blobs.md says. Nobody is asked yet.
// `badValue` for another kind, for what cannot be read, and where credentials are missing.
[[nodiscard]] Result<std::unique_ptr<ObjectStore>> open_object_store(std::string_view place,
                                                                     const Environment& environment,
                                                                     const Patience& patience = {});

}  // namespace geres::objects
