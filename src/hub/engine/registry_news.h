// SPDX-License-Identifier: Apache-2.0
// The tokens, hosts and batches that a tick changed, for those parts of a hub that serve requests and keep them in
// memory. Collected from the rows that the tick wrote, so that no verb can forget to announce a change.
#pragma once

#include <functional>
#include <vector>

#include "base/uuid.h"
#include "model/batch.h"

namespace geres::hub::engine {

struct RegistryNews {
  std::vector<model::Token> tokens;
  std::vector<Uuid> tokens_removed;
  std::vector<model::Host> hosts;
  std::vector<Uuid> hosts_removed;
  std::vector<Uuid> hosts_replaced;  // of those: replaced by a host that joined with the same data directory
  std::vector<model::JoinToken> join_tokens;
  std::vector<Uuid> join_tokens_removed;
  std::vector<model::Enrolment> enrolments;
  std::vector<Uuid> enrolments_removed;
  std::vector<model::Batch> batches;
  std::vector<Uuid> batches_removed;
  bool empty() const {
    return tokens.empty() && tokens_removed.empty() && hosts.empty() && hosts_removed.empty() && batches.empty() &&
           batches_removed.empty() && join_tokens.empty() && join_tokens_removed.empty() && enrolments.empty() &&
           enrolments_removed.empty();
  }
};

using RegistrySink = std::function<void(const RegistryNews& news)>;

}  // namespace geres::hub::engine
