// SPDX-License-Identifier: Apache-2.0
#include "hub/webhooks/target.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace geres::hub::webhooks {
namespace {

constexpr std::size_t kUrlMax = 2'048;

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, flags) != CURLUE_OK) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

}  // namespace

Result<Target> check_target(const std::string& url, const AddressRules& rules, std::string_view field) {
  const auto wrong = [&](std::string message, std::string hint = "such as https://example.com/hooks/geres") {
    return fail(Code::badValue, std::move(message), std::string(field), std::move(hint));
  };
  if (url.size() > kUrlMax)
    return fail(Code::tooLarge, fmt::format("the address has {} bytes", url.size()), std::string(field),
                fmt::format("at most {} bytes", kUrlMax));
  const bool plain = std::all_of(url.begin(), url.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  if (url.empty() || !plain) return wrong("the address is empty, or has characters that a URL has not");
  const std::unique_ptr<CURLU, FreeUrl> parsed(curl_url());
  if (!parsed) throw std::bad_alloc();
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
    return wrong("the address is not a URL");
  const auto scheme = part(parsed.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") return wrong(fmt::format("a webhook is not called over '{}:'", scheme));
  if (!part(parsed.get(), CURLUPART_USER).empty() || !part(parsed.get(), CURLUPART_PASSWORD).empty())
    return wrong("the address has a user or a password",
                 "leave it out: what is sent is signed with the webhook's secret");
  Target target;
  target.host = part(parsed.get(), CURLUPART_HOST);
  for (auto& c : target.host) c = char(std::tolower(static_cast<unsigned char>(c)));
  if (target.host.starts_with('[') && target.host.ends_with(']'))
    target.host = target.host.substr(1, target.host.size() - 2);
  while (target.host.ends_with('.')) target.host.pop_back();
  if (target.host.empty()) return wrong("the address has no host");
  target.origin =
      fmt::format("{}://{}:{}", scheme, target.host, part(parsed.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT));
  const auto address = parse_address(target.host);
  std::string what = address ? rules.refused(*address, target.host) : std::string();
  const bool local_name = target.host == "localhost" || target.host.ends_with(".localhost");
  if (local_name && !rules.allows_host(target.host)) what = rules.refused(*parse_address("127.0.0.1"), target.host);
  if (!what.empty())
    return wrong(fmt::format("'{}' is {}, which webhooks may not call", target.host, what),
                 "a public address; the hub's operator may allow others with --webhook-allow");
  return target;
}

}  // namespace geres::hub::webhooks
