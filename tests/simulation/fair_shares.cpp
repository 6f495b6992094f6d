// SPDX-License-Identifier: Apache-2.0
#include "simulation/fair_shares.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace geres::simulation {

void FairShares::restart(Millis now) {
  now_ = now;
  has_read_ = false;
  for (auto& [name, tenant] : tenants_) {
    tenant.least = tenant.most = 0;
    for (auto& [job, begun] : tenant.running) begun = {now, {}};
    tenant.passed_over = 0;
    all_expected_alike_ &= tenant.longest == 0;
  }
}

void FairShares::has_read(Millis now) {
  if (std::exchange(has_read_, true)) return;
  for (auto& [name, tenant] : tenants_)
    for (auto& [job, begun] : tenant.running) begun.latest = now;
}

void FairShares::host_joined() {
  for (auto& [name, tenant] : tenants_) put_where_most_stand(tenant);
}

void FairShares::waiting(const std::string& name, int by, bool avoids) {
  auto& tenant = tenants_[name];
  if (avoids) {
    if (by > 0 && !tenant.contends) put_where_most_stand(tenant);
    return;
  }
  tenant.ready += by;
  look(tenant);
}

void FairShares::leased(const std::string& name, Uuid job) {
  auto& tenant = tenants_[name];
  if (!tenant.contends) put_where_most_stand(tenant);  // its job was due a moment ago, of which no event tells
  if (judged) compare(name, tenant);
  tenant.passed_over = 0;
  tenant.running[job] = {now_, has_read_ ? std::optional(now_) : std::nullopt};
  look(tenant);
}

void FairShares::ended(const std::string& name, Uuid job) {
  auto& tenant = tenants_[name];
  const auto lease = tenant.running.find(job);
  if (lease == tenant.running.end()) return;
  const Millis took = std::max<Millis>(1, most_of(lease->second));
  tenant.least += double(std::max<Millis>(1, least_of(lease->second))) / tenant.weight;
  tenant.most += double(took) / tenant.weight;
  tenant.running.erase(lease);
  tenant.longest = std::max(tenant.longest, took);
  all_expected_alike_ = false;
  look(tenant);
}

double FairShares::least(const Tenant& tenant) const {
  double sum = 0;
  for (const auto& [job, begun] : tenant.running) sum += double(least_of(begun));
  return tenant.least + sum / tenant.weight;
}

double FairShares::most(const Tenant& tenant) const {
  double sum = 0;
  for (const auto& [job, begun] : tenant.running) sum += double(most_of(begun));
  return tenant.most + sum / tenant.weight;
}

void FairShares::look(Tenant& tenant) {
  const bool contends =
      tenant.ready > 0 && (tenant.max_running == 0 || std::int64_t(tenant.running.size()) < tenant.max_running);
  if (contends && !tenant.contends) put_where_most_stand(tenant);
  tenant.contends = contends;
}

void FairShares::put_where_most_stand(Tenant& tenant) {
  double top = most(tenant);
  for (const auto& [name, other] : tenants_) top = std::max(top, most(other));
  tenant.most += top - most(tenant);
  tenant.passed_over = 0;
}

void FairShares::compare(const std::string& name, const Tenant& served) {
  constexpr double kRounding = 3;  // ms: ticks and ends are whole ones
  double weights = 0;
  for (const auto& [other_name, other] : tenants_) weights += other.weight;
  for (auto& [other_name, other] : tenants_) {
    if (&other == &served || !other.contends) continue;
    ++paths_[std::size_t(Path::share_compared)];
    // What the other one's jobs that run are expected to take counts as had; it is no longer than any took so far.
    const double expected =
        double(std::max(duration_guess, other.longest)) * double(other.running.size()) / other.weight;
    const double has_had = least(served);
    if (has_had > most(other) + expected + kRounding)
      return violate_(
          fmt::format("tenant {} was served, which has had {:.0f} ms of slots for its weight, before {}, "
                      "which waits and has had {:.0f} at most, with {} running",
                      name, has_had, other_name, most(other), other.running.size()));
    if (double(++other.passed_over) > std::ceil(weights / other.weight) + slots + double(tenants_.size()) &&
        all_expected_alike_)
      return violate_(
          fmt::format("tenant {} waits, and {} grants in a row went to others", other_name, other.passed_over));
  }
}

}  // namespace geres::simulation
