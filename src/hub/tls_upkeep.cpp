// SPDX-License-Identifier: Apache-2.0
#include "hub/tls_upkeep.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "hub/cannot_start.h"

namespace geres::hub {
namespace {

constexpr Millis kDay = 86'400'000, kWarnBefore = 14 * kDay, kRenewBefore = 30 * kDay;

CannotStart refusal(const Error& error) {
  return CannotStart(error.field.empty() ? "tls-cert" : error.field, error.message, error.hint);
}

bool link_local(const sockaddr* address) {
  return address->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

void add_interfaces(std::vector<std::string>& names) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return;
  for (const auto* one = all; one != nullptr; one = one->ifa_next) {
    const auto* address = one->ifa_addr;
    if (address == nullptr || (one->ifa_flags & IFF_UP) == 0 || link_local(address)) continue;
    char text[INET6_ADDRSTRLEN] = "";
    const void* raw = address->sa_family == AF_INET
                          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr)
                      : address->sa_family == AF_INET6
                          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr)
                          : nullptr;
    if (raw != nullptr && ::inet_ntop(address->sa_family, raw, text, sizeof text) != nullptr) names.emplace_back(text);
  }
  ::freeifaddrs(all);
}

}  // namespace

std::vector<std::string> names_of_machine(const std::vector<std::string>& listening) {
  std::vector<std::string> names{"localhost", "127.0.0.1", "::1"};
  for (const auto& address : listening) {
    if (address != "0.0.0.0" && address != "::") {
      names.push_back(address);
      continue;
    }
    char machine[256] = "";
    if (::gethostname(machine, sizeof machine - 1) == 0 && machine[0] != 0) names.emplace_back(machine);
    add_interfaces(names);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

TlsUpkeep::TlsUpkeep(const TlsOptions& options, const std::filesystem::path& directory, std::vector<std::string> names,
                     const Clock& clock)
    : clock_(clock), names_(std::move(names)) {
  auto files = options.files;
  if (options.self_signed) {
    auto authority = tls::Authority::open(directory, clock.wall());
    if (!authority) throw refusal(authority.error());
    authority_ = std::move(*authority);
    auto made = authority_->server_files(names_, clock.wall());
    if (!made) throw refusal(made.error());
    files.certificate = made->certificate;
    files.key = made->key;
  }
  auto identity = tls::load_server_identity(files, clock.wall());
  if (!identity) throw refusal(identity.error());
  context_ = std::make_shared<tls::ServerContext>(files, std::move(*identity));
}

void TlsUpkeep::start(Millis look_every) {
  warn_in_time();
  looking_.start(look_every, [this] { look(); });
}

void TlsUpkeep::look() {
  renew();
  if (context_->files_changed()) reload();
  warn_in_time();
}

void TlsUpkeep::renew() {
  if (!authority_ || context_->certificate().until - clock_.wall() > kRenewBefore) return;
  try {
    if (const auto made = authority_->server_files(names_, clock_.wall()); !made)
      log::event(log::Level::err, "the hub's own certificate could not be renewed", {{"error", made.error().message}});
  } catch (const std::exception& trouble) {
    log::event(log::Level::err, "the hub's own certificate could not be renewed", {{"error", trouble.what()}});
  }
}

void TlsUpkeep::reload() {
  if (const auto done = context_->reload(clock_.wall()); !done) {
    log::event(log::Level::err, "a certificate was not taken up, the old one goes on",
               {{"error", done.error().message}});
    return;
  }
  const auto now = context_->certificate();
  warn_again_ = 0;
  log::event(log::Level::info, "a certificate was taken up",
             {{"names", tls::listed(now.names)}, {"until", tls::day_of(now.until)}});
}

void TlsUpkeep::warn_in_time() {
  const Millis now = clock_.wall();
  const auto certificate = context_->certificate();
  if (certificate.until - now > kWarnBefore || now < warn_again_) return;
  warn_again_ = now + kDay;
  log::event(log::Level::warn, "the certificate runs out",
             {{"names", tls::listed(certificate.names)}, {"until", tls::day_of(certificate.until)}});
}

}  // namespace geres::hub
