// SPDX-License-Identifier: Apache-2.0
#include "hub/api/host_certificate.h"

#include <fmt/format.h>

#include "hub/api/browser.h"
#include "tls/certificate.h"

namespace geres::hub::api {
namespace {

bool on_this_machine(const http::Request& request) {
  const auto address = address_of(request);
  return !request.tls && (address.starts_with("127.") || address == "[::1]");
}

}  // namespace

Result<void> check_host_certificate(const Api& api, const http::Request& request, const std::string& host) {
  if (api.host_auth == HostAuth::secret || on_this_machine(request)) return {};
  if (request.client == nullptr)
    return fail(Code::certificateRequired, fmt::format("host '{}' has shown no certificate", host));
  const auto named = tls::host_named(*request.client);
  if (named == host) return {};
  return fail(Code::certificateOtherHost, fmt::format("the certificate is host '{}'s, and not '{}'s", named, host), {},
              fmt::format("--name {}, or a certificate with subjectAltName=URI:geres://host/{}", named, host));
}

std::shared_ptr<const Identity> certified_host(const Api& api, const http::Request& request) {
  if (api.host_auth != HostAuth::mtls || request.client == nullptr) return nullptr;
  auto who = std::make_shared<Identity>();
  who->kind = Identity::Kind::token;
  who->name = "certificate of " + tls::host_named(*request.client);
  who->roles = {model::Role::host};
  return who;
}

}  // namespace geres::hub::api
