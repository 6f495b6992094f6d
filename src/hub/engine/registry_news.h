// SPDX-License-Identifier: Apache-2.0
// What a tick changed of the tokens, hosts and batches that everybody who serves requests knows by secret or by name.
// It comes from what the tick wrote, so that no caller who changes one of them can forget to say so.
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
  std::vector<Uuid> hosts_replaced;  // of those, earlier lives of hosts that joined: nobody has their secret any more
  std::vector<model::Batch> batches;
  std::vector<Uuid> batches_removed;
  bool empty() const {
    return tokens.empty() && tokens_removed.empty() && hosts.empty() && hosts_removed.empty() && batches.empty() &&
           batches_removed.empty();
  }
};

using RegistrySink = std::function<void(const RegistryNews& news)>;

}  // namespace geres::hub::engine
