// SPDX-License-Identifier: Apache-2.0
#include "base/content_disposition.h"

#include <fmt/format.h>

namespace geres {
namespace {

bool plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

}  // namespace

std::string content_disposition(std::string_view name) {
  name = name.substr(name.rfind('/') + 1);
  std::string ascii, encoded;
  for (const char c : name) {
    ascii += plain(c) ? c : '_';
    encoded += plain(c) ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return fmt::format("attachment; filename=\"{}\"; filename*=UTF-8''{}", ascii, encoded);
}

}  // namespace geres
