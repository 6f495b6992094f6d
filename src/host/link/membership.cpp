// SPDX-License-Identifier: Apache-2.0
#include "host/link/membership.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "base/json.h"

namespace geres::host {
namespace {

constexpr Millis kDeadlineMarginMin = 500;

}  // namespace

Result<Membership> membership(const HubAnswer& registered) {
  const auto body = json::read_text<wire::Registered>(registered.body, json::Unknown::ignored);
  if (!body) return body.error();
  return Membership{body->id, std::make_shared<std::string>(body->secret),
                    std::max<Millis>(100, Millis(body->reportSeconds * 1'000)),
                    std::clamp(body->protocol.value_or(1), 1, wire::kProtocol)};
}

std::string machine_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  std::string clean;
  for (const char* c = name; *c != 0 && clean.size() < 63; ++c)
    clean += std::isalnum(static_cast<unsigned char>(*c)) != 0 || *c == '-' || *c == '.' || *c == '_' ? *c : '-';
  while (!clean.empty() && std::isalnum(static_cast<unsigned char>(clean.front())) == 0) clean.erase(0, 1);
  return clean.empty() ? "host" : clean;
}

Millis lease_end(Millis counted_from, Millis ttl) {
  return counted_from + ttl - std::max<Millis>(kDeadlineMarginMin, ttl / 50);
}

}  // namespace geres::host
