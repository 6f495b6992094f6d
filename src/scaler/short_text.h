// SPDX-License-Identifier: Apache-2.0
// A provider's words in ours: one line, of a length that a book can keep.
#pragma once

#include <string>

#include "base/bytes.h"

namespace geres::scaler {

inline std::string short_text(const std::string& text) {
  return std::string(utf8_prefix(plain_line(text), 200));
}

}  // namespace geres::scaler
