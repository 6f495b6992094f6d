// SPDX-License-Identifier: Apache-2.0
// The two kinds of cached content. A package is unpacked once and read-only from then on; beside it lies
// <sha256>.json with a digest over all its files, so that damage is found. An input file is kept as it came.
//
// Unpacking runs on a thread of the agent: package::unpack holds hostile archives to its limits and never leaves the
// directory.
#pragma once

#include "host/content_cache.h"
#include "package/archive.h"

namespace geres::host {

ContentCache::Kind package_kind(const package::Limits& limits);
ContentCache::Kind input_kind();

}  // namespace geres::host
