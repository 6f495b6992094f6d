// SPDX-License-Identifier: Apache-2.0
// Where blobs are kept, as people write it: KIND:CONTAINER[/PREFIX][?option=value&…]
//     s3:builds/geres?region=eu-central-1
//     azure:account/jobprocessorfiles
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace geres::objects {

struct StoreUrl {
  std::string kind;                // "s3", "azure"
  std::vector<std::string> names;  // the segments of the path, at least one, each not empty
  std::map<std::string, std::string> options;

  // The segments from `first` on, each followed by '/'; "" if there are none.
  [[nodiscard]] std::string prefix(std::size_t first) const;
};

// `badValue` for what cannot be read so, with a secret in it (user:password@, an option that looks like a key), or with
// an option that is not among `known`.
[[nodiscard]] Result<StoreUrl> read_store_url(std::string_view text, const std::vector<std::string>& known);

}  // namespace geres::objects
