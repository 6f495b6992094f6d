// SPDX-License-Identifier: Apache-2.0
// Of a program that is built without the page.
#include "hub/api/page.h"

namespace geres::hub::api {

std::span<const PageFile> Page::built_in() {
  return {};
}

}  // namespace geres::hub::api
