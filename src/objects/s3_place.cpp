// SPDX-License-Identifier: Apache-2.0
#include "objects/s3_place.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "transport/call.h"

namespace geres::objects {
namespace {

Error wrong(std::string message, std::string hint) {
  return fail(Code::badValue, std::move(message), "--blobs", std::move(hint));
}

std::string option(const StoreUrl& url, const std::string& name) {
  const auto found = url.options.find(name);
  return found == url.options.end() ? std::string() : found->second;
}

// As AWS allows names; other servers also capitals and '_', which cannot be part of a host's name.
bool part_of_host(std::string_view bucket) {
  const bool plain = std::all_of(bucket.begin(), bucket.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
  return plain && bucket.size() >= 3 && bucket.size() <= 63 && bucket.front() != '-' && bucket.back() != '-' &&
         bucket.front() != '.' && bucket.back() != '.';
}

bool is_region(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_'; });
}

Result<std::string> region_of(const StoreUrl& url, const Environment& environment) {
  auto region = option(url, "region");
  for (const auto* name : {"AWS_REGION", "AWS_DEFAULT_REGION"})
    if (region.empty()) region = environment(name);
  if (region.empty()) try {
      const auto settings = read_profile(environment, option(url, "profile")).settings;
      if (const auto found = settings.find("region"); found != settings.end()) region = found->second;
    } catch (const std::system_error&) {
      // Whether the file is needed for more than this, the credentials find out.
    }
  if (region.empty()) region = "us-east-1";
  if (!is_region(region)) return wrong(fmt::format("'{}' is not a region", region), "for example region=eu-central-1");
  return region;
}

Result<bool> yes_or_no(const StoreUrl& url, const std::string& name) {
  const auto value = option(url, name);
  if (value.empty() || value == "no") return false;
  if (value == "yes") return true;
  return wrong(fmt::format("the option {} is '{}'", name, value), "yes or no");
}

// "path", or "virtual" with the bucket as the first part of the host's name.
Result<bool> path_style(const StoreUrl& url, const S3Place& place, bool own_endpoint) {
  const auto style = option(url, "style");
  const auto& host = place.endpoint.authority;
  const bool number = host.starts_with('[') || host.find_first_not_of("0123456789.:") == std::string::npos;
  if (style == "path") return true;
  if (style == "virtual") {
    if (!part_of_host(place.bucket) || number)
      return wrong(fmt::format("the bucket '{}' cannot be part of the host's name '{}'", place.bucket, host),
                   "style=path");
    return false;
  }
  if (!style.empty()) return wrong(fmt::format("the option style is '{}'", style), "style=path or style=virtual");
  // A certificate for *.s3.REGION.amazonaws.com is none for a name with a further dot.
  return own_endpoint || place.bucket.find('.') != std::string::npos;
}

}  // namespace

std::string S3Place::name() const {
  const auto below = prefix.empty() ? std::string() : "/" + prefix.substr(0, prefix.size() - 1);
  return fmt::format("s3:{}{} at {}", bucket, below, endpoint.url());
}

std::string S3Place::authority() const {
  return path_style ? endpoint.authority : bucket + "." + endpoint.authority;
}

std::string S3Place::path(const std::string& key) const {
  std::string path = path_style ? "/" + transport::escaped(bucket) : "";
  for (std::size_t begin = 0; !key.empty() && begin <= key.size();) {
    const auto end = std::min(key.find('/', begin), key.size());
    path += "/" + transport::escaped(std::string_view(key).substr(begin, end - begin));
    begin = end + 1;
  }
  return path.empty() ? "/" : path;
}

Result<S3Place> read_s3_place(const StoreUrl& url, const Environment& environment) {
  S3Place place{.bucket = url.names.front(), .prefix = url.prefix(1), .profile = option(url, "profile")};
  const auto plaintext = yes_or_no(url, "plaintext");
  if (!plaintext) return plaintext.error();
  place.plaintext = *plaintext;
  auto region = region_of(url, environment);
  if (!region) return region.error();
  place.region = std::move(*region);
  const auto given = option(url, "endpoint");
  if (given.empty() && !part_of_host(place.bucket))
    return wrong(fmt::format("'{}' cannot be a bucket of Amazon's", place.bucket),
                 "3 to 63 small letters, digits, '-' and '.'; for another server say endpoint=URL");
  auto endpoint = read_endpoint(
      given.empty() ? fmt::format("https://s3.{}.{}", place.region, aws_domain(place.region)) : given, place.plaintext);
  if (!endpoint) return endpoint.error();
  place.endpoint = std::move(*endpoint);
  const auto style = path_style(url, place, !given.empty());
  if (!style) return style.error();
  place.path_style = *style;
  return place;
}

}  // namespace geres::objects
