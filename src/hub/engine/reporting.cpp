// SPDX-License-Identifier: Apache-2.0
// Every write by a host names its lease; one that is not current changes nothing.
#include "hub/engine/reporting.h"

#include <algorithm>
#include <unordered_set>

#include "hub/engine/host_trouble.h"

namespace geres::hub::engine {

using model::Outcome;

// A completion whose lease is not current: the same one again is accepted again, a different one is a conflict, and one
// for an attempt that the hub has ended itself is stale.
Reporting::Verdict Reporting::completed_before(const Completion& item) {
  const auto row = store_.ended_attempt(item.lease);
  if (!row || !row->attempt.outcome) return Verdict::stale;
  const auto recorded = *row->attempt.outcome;
  if (recorded == item.outcome && row->attempt.exit == item.exit) return Verdict::accepted;
  const bool by_hub = recorded == Outcome::expired || recorded == Outcome::lost || recorded == Outcome::released;
  return by_hub ? Verdict::stale : Verdict::conflict;
}

Reporting::Verdict Reporting::complete(const Uuid& host, const Completion& item) {
  auto* lease = attempts_.current(item.lease);
  if (lease == nullptr) return completed_before(item);
  if (lease->row.host != host) return Verdict::stale;
  if (item.files_missing) return Verdict::filesMissing;
  if (item.outcome != Outcome::released && item.outcome != Outcome::lost && item.outcome != Outcome::package &&
      item.outcome != Outcome::type && item.outcome != Outcome::cancelled)
    attempts_.start(*lease);
  attempts_.end(*lease, item.outcome, &item);
  return Verdict::accepted;
}

// Leases in the answer that the host has taken in, but that it does not hold: it never heard of them, or lost them
// before they began. They are given to somebody at once. A host that goes away holds what it names and nothing else,
// whatever is still on its way to it.
void Reporting::release_unheard(HostState& host, const ReportCall& call) {
  if (call.fetched.empty() && !call.leaving) return;
  const auto heard = [&](const std::string& fetch_id) { return call.leaving || fetch_id == call.fetched; };
  fetches_.confirm_answers(host, heard);
  if (!call.fetched.empty() && !host.has_fetched(call.fetched)) host.remember_fetch(call.fetched);
  if (heard(host.fetch_id) && !std::exchange(host.fetch_heard, true)) state_.board.touch(host);
  std::unordered_set<Uuid> named(call.running.begin(), call.running.end());
  for (const auto& item : call.finished) named.insert(item.lease);
  std::vector<store::Seq> unheard;
  for (const auto seq : host.leases) {
    const auto& lease = state_.leases.at(seq);
    if (heard(lease.row.fetch_id) && !named.contains(lease.row.name)) unheard.push_back(seq);
  }
  for (const auto seq : unheard) attempts_.end(state_.leases.at(seq), Outcome::released, nullptr);
}

Result<ReportAnswer> Reporting::report(const ReportCall& call) {
  auto* host = hosts_.seen(call.host);
  if (host == nullptr) return host_gone();
  ReportAnswer answer;
  const bool newest = call.seq > host->last_seq;
  if (newest) host->last_seq = call.seq;
  const auto own = [&](Uuid name) {
    auto* lease = attempts_.current(name);
    return lease != nullptr && lease->row.host == call.host ? lease : nullptr;
  };
  for (const auto name : call.running) {
    auto* lease = own(name);
    if (lease == nullptr) {
      answer.lost.push_back(name);
    } else if (newest) {
      lease->held = true;
      lease->deadline = now_.lease + lease->row.ttl;
    }
  }
  for (const auto name : call.started)
    if (auto* lease = own(name)) attempts_.start(*lease);
  for (const auto& [name, progress] : call.progress)
    if (auto* lease = own(name)) attempts_.take_progress(*lease, progress);
  for (const auto& item : call.finished) {
    switch (complete(call.host, item)) {
      case Verdict::accepted:
        answer.accepted.push_back(item.lease);
        break;
      case Verdict::stale:
        answer.refused.push_back({item.lease, Code::stale});
        break;
      case Verdict::conflict:
        answer.refused.push_back({item.lease, Code::conflict});
        break;
      case Verdict::filesMissing:
        answer.refused.push_back({item.lease, Code::filesMissing});
        break;
    }
  }
  if (newest) release_unheard(*host, call);
  if (newest) {
    const auto before = std::pair(host->health.state(), host->health.reason());
    host->health.told(call.health, call.health_reason, 0);
    if (before != std::pair(host->health.state(), host->health.reason())) state_.changed(*host);
    if (before.first != host->health.state()) tell_health(*host);
  }
  answer.cancel = fetches_.cancels_for(*host, false);
  answer.mode = host->row.mode;
  if (call.leaving && newest && host->leases.empty()) hosts_.leave(call.host);
  return answer;
}

}  // namespace geres::hub::engine
