// SPDX-License-Identifier: Apache-2.0
// A repeat of a fetch gets its answer again; what was answered to another fetch counts as heard only when the host says
// so.
#include "hub/engine/fetches.h"

#include <algorithm>

#include "hub/engine/with_jobs.h"

namespace geres::hub::engine {

// The host has taken in these fetches' answers: what they told it needs no telling again.
void Fetches::confirm_answers(HostState& host, const std::function<bool(const std::string& fetch_id)>& heard) {
  std::erase_if(host.cancels_told, [&](const auto& told) {
    if (!heard(told.second.fetch_id)) return false;
    if (const auto lease = state_.leases.find(told.first); lease != state_.leases.end())
      lease->second.cancel_confirmed = told.second.sure;
    return true;
  });
}

// A repeat is told again what its fetch was granted and told, and takes nobody's place. Where that was nothing, the
// newest one waits on: an answer that got lost must not keep a host idle.
Result<std::optional<FetchAnswer>> Fetches::open(const FetchCall& call) {
  auto* host = hosts_.seen(call.host);
  if (host == nullptr) return host_gone();
  // By its leases too: after a start these are all that is known of earlier fetches, and which of them was the newest
  // is a guess where the wall clock has jumped.
  const bool known = host->has_fetched(call.fetch_id) ||
                     std::any_of(host->leases.begin(), host->leases.end(),
                                 [&](auto seq) { return state_.leases.at(seq).row.fetch_id == call.fetch_id; });
  const bool newest = call.fetch_id == host->fetch_id;
  if (known) {
    FetchAnswer again;
    again.leases = leases_of_fetch(*host, call.fetch_id);
    again.cancel = cancels_of_fetch(*host, call.fetch_id);
    again.mode = host->row.mode;
    if (!newest || !again.leases.empty() || !again.cancel.empty()) return std::optional(std::move(again));
  }
  fetched_now_.insert(call.host);
  if (newest) return std::optional<FetchAnswer>();
  host->fetch_id = call.fetch_id;
  // Until a report has come nothing is known of what the host heard: this may be a late copy of its last fetch.
  host->fetch_answered = host->last_seq < 0;
  host->fetch_heard = false;
  host->remember_fetch(call.fetch_id);
  state_.board.touch(*host);
  return std::optional<FetchAnswer>();
}

std::vector<Granted> Fetches::leases_of_fetch(const HostState& host, const std::string& fetch_id) {
  std::vector<Granted> granted;
  std::vector<Uuid> ids;
  for (const auto seq : host.leases) {
    const auto& lease = state_.leases.at(seq);
    if (lease.row.fetch_id != fetch_id) continue;
    ids.push_back(lease.row.job);
    granted.push_back({lease.row, {}});
  }
  if (granted.empty()) return granted;
  auto jobs = store_.jobs(ids);
  for (std::size_t i = 0; i < granted.size(); ++i) granted[i].job = std::move(*jobs[i]);
  return granted;
}

std::vector<CancelOrder> Fetches::cancels_of_fetch(const HostState& host, const std::string& fetch_id) {
  std::vector<CancelOrder> orders;
  for (const auto& [seq, told] : host.cancels_told) {
    const auto lease = state_.leases.find(seq);
    if (told.fetch_id == fetch_id && lease != state_.leases.end())
      orders.push_back({lease->second.row.name, lease->second.row.cancel_grace});
  }
  return orders;
}

std::vector<CancelOrder> Fetches::cancels_for(HostState& host, bool in_fetch) {
  std::vector<CancelOrder> orders;
  for (const auto seq : host.leases) {
    const auto& lease = state_.leases.at(seq);
    if (!lease.row.cancel_requested_at || lease.cancel_confirmed) continue;
    // A fetch is told once, else it would be answered again at once; reports are told until it is confirmed.
    if (in_fetch && !host.cancels_told.try_emplace(seq, host.fetch_id, lease.held && !host.fetch_answered).second)
      continue;
    orders.push_back({lease.row.name, lease.row.cancel_grace});
  }
  return orders;
}

Outbox::FetchReply& Fetches::reply_to(HostState& host) {
  const auto [known, added] = reply_of_.try_emplace(host.row.id, out_.fetch_replies.size());
  if (!added) return out_.fetch_replies[known->second];
  auto& reply = out_.fetch_replies.emplace_back();
  reply.host = host.row.id;
  reply.fetch_id = host.fetch_id;
  return reply;
}

void Fetches::answer() {
  std::set<Uuid> candidates = fetched_now_;
  candidates.insert(state_.news.begin(), state_.news.end());
  for (const auto id : candidates) {
    const auto found = state_.hosts.find(id);
    const auto open = desk_.fetches.find(id);
    if (found == state_.hosts.end()) {
      state_.news.erase(id);
      continue;
    }
    auto& host = found->second;
    if (open == desk_.fetches.end() || open->second.call.fetch_id != host.fetch_id) continue;
    auto cancels = cancels_for(host, true);
    if (!cancels.empty()) reply_to(host).answer.cancel = std::move(cancels);
    if (host.row.mode != host.mode_told) reply_to(host);
    state_.news.erase(id);
  }
  for (const auto& [until, id] : desk_.fetch_ends) {
    if (until > now_.monotonic) break;
    if (const auto found = state_.hosts.find(id); found != state_.hosts.end()) reply_to(found->second);
  }
  for (auto& reply : out_.fetch_replies) reply.answer.mode = state_.hosts.at(reply.host).row.mode;
}

}  // namespace geres::hub::engine
