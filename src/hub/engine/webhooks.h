// SPDX-License-Identifier: Apache-2.0
// Webhooks as the engine keeps them: who is to be called, how far each has read, and what was told in vain. The calls
// themselves are made by hub/webhooks, which writes down here what came of them. Other readers of the log (hub/amqp)
// have their place kept here, too.
#pragma once

#include "hub/engine/lanes.h"

namespace geres::hub::engine {

class Webhooks {
 public:
  Webhooks(Round& round, Lanes& lanes)
      : state_(round.state),
        store_(round.store),
        ids_(round.ids),
        options_(round.options),
        now_(round.now),
        out_(round.out),
        lanes_(lanes) {}

  Result<model::Webhook> create(const Caller& caller, model::Webhook webhook);
  Result<model::Webhook> patch(const Caller& caller, Uuid id, const WebhookPatch& patch);
  Result<bool> remove(const Caller& caller, Uuid id);
  Result<std::int64_t> replay(const Caller& caller, Uuid id, const ReplayWhat& what);
  Result<Uuid> replay_dead(const Caller& caller, Uuid id);  // all its dead letters: an operation
  Result<bool> settle_deliveries(const DeliveryNews& news);
  Result<bool> store_cursor(const store::CursorRow& cursor);

  Outbox::SliceDone replay_slice(store::OperationRow& operation);  // of replay_dead
  bool sweep();                                                    // false: there is more

 private:
  Result<model::Webhook*> webhook_for(const Caller& caller, Uuid id);
  void put_webhook(const model::Webhook& webhook);
  void revive(store::DeliveryRow row);

  State& state_;
  BufferedStore& store_;
  IdSource& ids_;
  const Options& options_;
  const Now& now_;
  Outbox& out_;
  Lanes& lanes_;
};

}  // namespace geres::hub::engine
