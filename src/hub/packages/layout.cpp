// SPDX-License-Identifier: Apache-2.0
#include "hub/packages/layout.h"

#include <fmt/format.h>

#include "base/sha256.h"
#include "model/names.h"

namespace geres::hub::packages {
namespace {

constexpr std::string_view kTenant = "{tenant}", kPackage = "{package}";

std::size_t times(std::string_view text, std::string_view word) {
  std::size_t n = 0;
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + word.size())) ++n;
  return n;
}

std::string_view first_segment(std::string_view& rest) {
  const auto slash = rest.find('/');
  const auto segment = rest.substr(0, slash);
  rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  return segment;
}

// What stands in `segment` where `pattern` has `word`; nullopt if the rest differs.
std::optional<std::string> between(std::string_view pattern, std::string_view word, std::string_view segment) {
  const auto at = pattern.find(word);
  const auto before = pattern.substr(0, at), after = pattern.substr(at + word.size());
  if (segment.size() < before.size() + after.size() || !segment.starts_with(before) || !segment.ends_with(after))
    return std::nullopt;
  return std::string(segment.substr(before.size(), segment.size() - before.size() - after.size()));
}

}  // namespace

Result<Layout::Placed> Layout::parse(std::string_view text) {
  const auto wrong = [&](const std::string& why) {
    return fail(Code::badValue, fmt::format("'{}' is not where packages lie: {}", text.substr(0, text.find('?')), why),
                "--import-layout", "azure:ACCOUNT/jobprocessorfiles/{tenant}/{package}.zip, or s3:BUCKET/…");
  };
  const auto question = text.find('?');
  const auto path = text.substr(0, question);
  const auto options = question == std::string_view::npos ? std::string_view() : text.substr(question);
  const auto brace = path.find('{');
  const auto slash = brace == std::string_view::npos ? brace : path.rfind('/', brace);
  if (slash == std::string_view::npos) return wrong("it has no pattern with {tenant} and {package}");
  Placed placed;
  placed.place = std::string(path.substr(0, slash)) + std::string(options);
  placed.layout.pattern_ = path.substr(slash + 1);
  const std::string_view pattern = placed.layout.pattern_;
  if (times(pattern, kTenant) != 1 || times(pattern, kPackage) != 1 || times(pattern, "{") != 2)
    return wrong("its pattern must have {tenant} and {package} once each, and no other braces");
  for (auto rest = pattern; !rest.empty();) {
    const auto segment = first_segment(rest);
    if (segment.empty() || times(segment, "{") > 1) return wrong("each word needs a segment of its own");
  }
  return placed;
}

std::optional<PackageName> Layout::match(std::string_view key) const {
  PackageName name;
  for (std::string_view pattern = pattern_; !pattern.empty();) {
    if (key.empty()) return std::nullopt;
    const auto wanted = first_segment(pattern), given = first_segment(key);
    const bool tenant = wanted.find(kTenant) != std::string_view::npos;
    if (!tenant && wanted.find(kPackage) == std::string_view::npos) {
      if (wanted != given) return std::nullopt;
      continue;
    }
    const auto word = between(wanted, tenant ? kTenant : kPackage, given);
    if (!word || !model::is_name(*word)) return std::nullopt;
    (tenant ? name.tenant : name.package) = *word;
  }
  // Blobs may lie in the same place, under their digests.
  if (!key.empty() || is_sha256_hex(name.package)) return std::nullopt;
  return name;
}

std::string Layout::object_of(const PackageName& name) const {
  std::string object = pattern_;
  object.replace(object.find(kTenant), kTenant.size(), name.tenant);
  object.replace(object.find(kPackage), kPackage.size(), name.package);
  return object;
}

}  // namespace geres::hub::packages
