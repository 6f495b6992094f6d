// SPDX-License-Identifier: Apache-2.0
#include "package/names.h"

#include <locale.h>
#include <wctype.h>

#include <algorithm>

#include "base/bytes.h"
#include "package/archive.h"

namespace geres::package {
namespace {

Error bad_name(std::string_view raw, const std::string& why, std::string hint = {}) {
  return fail(Code::badPackage, "the entry '" + shown(raw) + "' " + why, {}, std::move(hint));
}

// Windows PowerShell 5 and old .NET write backslashes, DOS tools their own code pages.
constexpr char kOldArchiver[] =
    "pack it with an archiver that writes names as the format says (PowerShell 7, 7-Zip, zip)";

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// Of valid UTF-8: takes one code point off the front.
char32_t take_code_point(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const int length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  char32_t point = length == 1 ? lead : lead & (0xffu >> (length + 1));
  for (int i = 1; i < length; ++i) point = point << 6 | (static_cast<unsigned char>(text[std::size_t(i)]) & 0x3f);
  text.remove_prefix(std::size_t(length));
  return point;
}

// Upper and lower case become one. The result is a key, not a name: code points are written plainly as four bytes.
std::string folded(std::string_view name) {
  static const locale_t unicode = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  std::string key;
  while (!name.empty()) {
    char32_t point = take_code_point(name);
    if (point < 0x80) {
      key += char(point >= 'A' && point <= 'Z' ? point + 32 : point);
      continue;
    }
    if (unicode != nullptr) point = char32_t(::towlower_l(::towupper_l(wint_t(point), unicode), unicode));
    key += {char(0xff), char(point >> 16), char(point >> 8), char(point)};
  }
  return key;
}

}  // namespace

std::string shown(std::string_view name) {
  std::string text(utf8_prefix(replace_bad_utf8(name.substr(0, 120)), 120));
  std::replace_if(text.begin(), text.end(), is_control, '?');
  return text.size() < name.size() ? text + "…" : text;
}

std::vector<std::string_view> segments_of(std::string_view name) {
  std::vector<std::string_view> segments;
  while (!name.empty()) {
    const auto slash = std::min(name.find('/'), name.size());
    segments.push_back(name.substr(0, slash));
    name.remove_prefix(std::min(slash + 1, name.size()));
  }
  return segments;
}

Result<std::string> checked_name(std::string_view raw, const Limits& limits) {
  std::string_view name = raw;
  if (name.empty()) return bad_name(raw, "has no name");
  if (name.size() > limits.name_bytes) return bad_name(raw, "has a name that is too long");
  if (name.find('\0') != name.npos || std::any_of(name.begin(), name.end(), is_control))
    return bad_name(raw, "has a control character in its name");
  if (!valid_utf8(name)) return bad_name(raw, "has a name that is not UTF-8", kOldArchiver);
  if (name.find('\\') != name.npos) return bad_name(raw, "has a backslash in its name", kOldArchiver);
  if (name.front() == '/') return bad_name(raw, "has an absolute name");
  if (name.starts_with("./")) name.remove_prefix(2);
  if (name.ends_with('/')) name.remove_suffix(1);
  if (name.empty()) return std::string();
  std::size_t depth = 1;
  for (std::size_t from = 0;; ++depth) {
    const auto slash = name.find('/', from);
    const auto segment = name.substr(from, slash == name.npos ? name.npos : slash - from);
    if (segment == "..") return bad_name(raw, "would leave the package's directory");
    if (segment.empty() || segment == ".") return bad_name(raw, "has an empty part in its name");
    if (segment.size() > limits.segment_bytes) return bad_name(raw, "has a name that is too long");
    if (slash == name.npos) break;
    from = slash + 1;
  }
  if (depth > limits.depth) return bad_name(raw, "lies more than " + std::to_string(limits.depth) + " levels deep");
  return std::string(name);
}

Result<void> NameSet::count(std::size_t bytes) {
  bytes_ += bytes;
  if (bytes_ > limits_.names_bytes || taken_.size() >= limits_.entries * 2)
    return fail(Code::badPackage, "the names of the entries take more than " + std::to_string(limits_.names_bytes) +
                                      " bytes or there are too many directories");
  return {};
}

Result<void> NameSet::add_parents(std::string_view name) {
  for (auto slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
    const auto parent = name.substr(0, slash);
    const auto [at, fresh] = taken_.try_emplace(folded(parent));
    if (fresh) {
      at->second = {std::string(parent), true, false};
      if (auto counted = count(parent.size()); !counted) return counted.error();
    } else if (!at->second.directory) {
      return bad_name(name, "lies in '" + shown(at->second.spelling) + "', which is a file");
    } else if (at->second.spelling != parent) {
      return bad_name(name, "differs from '" + shown(at->second.spelling) + "' only in case");
    }
  }
  return {};
}

Result<void> NameSet::add_file(std::string_view name) {
  if (auto parents = add_parents(name); !parents) return parents.error();
  const auto [at, fresh] = taken_.try_emplace(folded(name));
  if (!fresh)
    return bad_name(name, at->second.spelling == name
                              ? "is there twice"
                              : "differs from '" + shown(at->second.spelling) + "' only in case");
  at->second = {std::string(name), false, true};
  return count(name.size());
}

Result<void> NameSet::add_directory(std::string_view name) {
  if (auto parents = add_parents(name); !parents) return parents.error();
  const auto [at, fresh] = taken_.try_emplace(folded(name));
  if (!fresh) {
    if (at->second.spelling != name)
      return bad_name(name, "differs from '" + shown(at->second.spelling) + "' only in case");
    if (!at->second.directory || at->second.listed) return bad_name(name, "is there twice");
    at->second.listed = true;
    return {};
  }
  at->second = {std::string(name), true, true};
  return count(name.size());
}

}  // namespace geres::package
