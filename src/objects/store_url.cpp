// SPDX-License-Identifier: Apache-2.0
#include "objects/store_url.h"

#include <fmt/format.h>

#include <algorithm>

namespace geres::objects {
namespace {

Error wrong(std::string_view text, const std::string& why, std::string hint) {
  return fail(Code::badValue, fmt::format("'{}' is not a place for blobs: {}", text, why), "--blobs", std::move(hint));
}

bool plain(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == '_';
  });
}

// "a%2Fb" as "a/b", for the values of options. False if a % is not followed by two hex digits.
bool unescape(std::string_view text, std::string& to) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      to += text[i];
      continue;
    }
    if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) return false;
    to += char(digit(text[i + 1]) * 16 + digit(text[i + 2]));
    i += 2;
  }
  return true;
}

}  // namespace

std::string StoreUrl::prefix(std::size_t first) const {
  std::string prefix;
  for (std::size_t i = first; i < names.size(); ++i) prefix += names[i] + "/";
  return prefix;
}

Result<StoreUrl> read_store_url(std::string_view text, const std::vector<std::string>& known) {
  constexpr auto kShape = "KIND:CONTAINER[/PREFIX][?option=value&…], for example s3:builds/geres?region=eu-central-1";
  // Shown instead of `text`, which may have a secret in its options or before an '@'.
  const auto shown = text.substr(0, std::min(text.find('@'), text.find('?')));
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return wrong(shown, "it names no kind of store", kShape);
  if (text.find('@') != std::string_view::npos)
    return wrong(shown, "credentials do not belong here, where others can read them",
                 "give them by the environment; docs/blobs.md lists the variables");
  StoreUrl url;
  url.kind = text.substr(0, colon);
  auto rest = text.substr(colon + 1);
  if (rest.starts_with("//")) rest.remove_prefix(2);
  const auto question = rest.find('?');
  auto path = rest.substr(0, question);
  if (path.ends_with('/')) path.remove_suffix(1);
  while (true) {
    const auto slash = path.find('/');
    const auto name = path.substr(0, slash);
    if (!plain(name))
      return wrong(shown, fmt::format("'{}' in it is no name of letters, digits, '.', '-' and '_'", name), kShape);
    url.names.emplace_back(name);
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  if (question == std::string_view::npos) return url;
  auto options = rest.substr(question + 1);
  while (!options.empty()) {
    const auto end = options.find('&');
    const auto option = options.substr(0, end);
    const auto equals = option.find('=');
    const std::string name(option.substr(0, equals));
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      std::string listed;
      for (const auto& one : known) listed += (listed.empty() ? "" : ", ") + one;
      return wrong(shown, fmt::format("there is no option '{}'", name), "the options are " + listed);
    }
    std::string value;
    if (equals == std::string_view::npos || equals + 1 == option.size() || !unescape(option.substr(equals + 1), value))
      return wrong(shown, fmt::format("its option '{}' has no value that can be read", name), kShape);
    if (!url.options.emplace(name, std::move(value)).second)
      return wrong(shown, fmt::format("its option '{}' is given twice", name), kShape);
    if (end == std::string_view::npos) break;
    options.remove_prefix(end + 1);
  }
  return url;
}

}  // namespace geres::objects
