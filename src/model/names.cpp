// SPDX-License-Identifier: Apache-2.0
#include "model/names.h"

#include <algorithm>

#include "base/bytes.h"

namespace geres::model {
namespace {

bool alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// What came from outside, made fit for a message: short, and without control characters.
std::string shown(std::string_view text) {
  std::string safe = replace_bad_utf8(utf8_prefix(text, 80));
  std::replace_if(
      safe.begin(), safe.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, '?');
  return safe.size() < text.size() ? safe + "…" : safe;
}

}  // namespace

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > 63 || !alphanumeric(text.front())) return false;
  if (text.find("..") != std::string_view::npos) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

Result<void> check_name(std::string_view text, std::string_view what, std::string_view field) {
  if (is_name(text)) return {};
  return fail(Code::badValue, "'" + shown(text) + "' is not a " + std::string(what), std::string(field),
              "1 to 63 letters, digits, '.', '_' or '-', the first a letter or digit, no '..'");
}

Result<void> check_relative_path(std::string_view path, std::string_view field) {
  const auto bad = [&](const char* why) {
    return fail(Code::badValue, why, std::string(field), "a relative path such as \"data/a.txt\"");
  };
  if (path.empty()) return bad("the path is empty");
  if (path.size() > kPathBytesMax) return bad("the path is longer than 4,095 bytes");
  if (path.find('\0') != std::string_view::npos) return bad("the path has a NUL");
  if (!valid_utf8(path)) return bad("the path is not UTF-8");
  for (std::size_t start = 0; start <= path.size();) {
    const auto end = std::min(path.find('/', start), path.size());
    const auto part = path.substr(start, end - start);
    if (part.empty() || part == "." || part == "..") return bad("the path leaves its directory, or has an empty part");
    if (part.size() > kPathPartBytesMax) return bad("a part of the path is longer than 255 bytes");
    start = end + 1;
  }
  return {};
}

}  // namespace geres::model
