// SPDX-License-Identifier: Apache-2.0
#include "objects/open.h"

#include <fmt/format.h>

#include "objects/azure.h"
#include "objects/s3.h"
#include "objects/store_url.h"

namespace geres::objects {

Result<std::unique_ptr<ObjectStore>> open_object_store(std::string_view place, const Environment& environment,
                                                       const Patience& patience) {
  const auto kind = place.substr(0, place.find(':'));
  if (kind == "s3") {
    const auto url = read_store_url(place, s3_options());
    if (!url) return url.error();
    S3Options options;
    options.patience = patience;
    return open_s3(*url, environment, std::move(options));
  }
  if (kind == "azure") {
    const auto url = read_store_url(place, azure_options());
    if (!url) return url.error();
    AzureOptions options;
    options.patience = patience;
    return open_azure(*url, environment, std::move(options));
  }
  return fail(Code::badValue, fmt::format("'{}' is not a kind of store", kind), "--blobs",
              "s3:BUCKET[/PREFIX] or azure:ACCOUNT/CONTAINER[/PREFIX]");
}

}  // namespace geres::objects
