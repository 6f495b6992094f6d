// SPDX-License-Identifier: Apache-2.0
// What hosts are told. A fetch is a long poll that is parked on the desk; an answer to it counts as heard when the host
// names its id in a report. Reports are answered with the orders that are not confirmed yet.
#pragma once

#include <functional>

#include "hub/engine/hosts.h"

namespace geres::hub::engine {

class Fetches {
 public:
  Fetches(Round& round, Hosts& hosts)
      : state_(round.state), desk_(round.desk), store_(round.store), now_(round.now), out_(round.out), hosts_(hosts) {}

  // An open fetch is parked on the desk by its command; this takes note of it. An answer: nothing is to be waited for.
  Result<std::optional<FetchAnswer>> open(const FetchCall& call);
  // The host has taken in these fetches' answers: what they told it needs no telling again.
  void confirm_answers(HostState& host, const std::function<bool(const std::string& fetch_id)>& heard);
  std::vector<CancelOrder> cancels_for(HostState& host, bool in_fetch);
  Outbox::FetchReply& reply_to(HostState& host);  // the answer that its open fetch gets after this tick

  void answer();  // a step: those with something to say, or whose time is over

 private:
  std::vector<Granted> leases_of_fetch(const HostState& host, const std::string& fetch_id);
  std::vector<CancelOrder> cancels_of_fetch(const HostState& host, const std::string& fetch_id);

  State& state_;
  Desk& desk_;
  BufferedStore& store_;
  const Now& now_;
  Outbox& out_;
  Hosts& hosts_;
  std::set<Uuid> fetched_now_;                      // hosts whose fetch was opened in this tick
  std::unordered_map<Uuid, std::size_t> reply_of_;  // by host: its place among the replies
};

}  // namespace geres::hub::engine
