// SPDX-License-Identifier: Apache-2.0
// The two kinds of cached content. A package is unpacked once and read-only from then on; <sha256>.json beside it holds
// a digest over all its files, by which damage is found. An input file is kept as it came.
//
// Unpacking runs on a thread of the agent: package::unpack keeps hostile archives within its limits and never leaves
// the directory.
#pragma once

#include "host/content_cache.h"
#include "package/archive.h"

namespace geres::host {

ContentCache::Kind package_kind(const package::Limits& limits);
ContentCache::Kind input_kind();

}  // namespace geres::host
