// SPDX-License-Identifier: Apache-2.0
// What only the hub that leads does: it changes jobs (the engine), calls webhooks, publishes to AMQP, and removes
// uploads that nothing names. Serving (serving.h) is everybody's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/repeated.h"
#include "base/uuid.h"
#include "hub/amqp/publisher.h"
#include "hub/engine/engine.h"
#include "hub/packages/blobs.h"
#include "hub/webhooks/sender.h"

namespace geres::hub {

struct LeadingOptions {
  engine::Options engine;
  webhooks::Options webhooks;
  amqp::Options amqp;                      // without an address: none is published to
  Millis keep_unnamed = 24 * 3'600'000LL;  // uploads that nothing came to name are removed after this
  Millis sweep_every = 3'600'000;          // when that is looked at
};

class Leading {
 public:
  Leading(store::Store& store, events::Tail& tail, const Clock& clock, LeadingOptions options);
  ~Leading();  // stop(0)

  engine::Engine& engine() { return engine_; }
  webhooks::Sender& sender() { return sender_; }
  const amqp::Publisher* publisher() const { return publisher_ ? &*publisher_ : nullptr; }

  // Those who hear of events have said so to the engine; from then on it is theirs. `failed`: once, on the engine's
  // thread, when the store cannot be trusted any more.
  void load();
  void start(events::Teller& teller, packages::Blobs& blobs, std::function<void(const std::string&)> failed);
  // In this order: the senders write down what came of their last calls, then no command is taken any more, then the
  // last ones are answered.
  void stop_telling(Millis deadline);
  void stop_accepting();
  void stop();

 private:
  void sweep(packages::Blobs& blobs);

  const Clock& clock_;
  const LeadingOptions options_;
  SystemRandom random_;
  engine::Engine engine_;
  webhooks::Sender sender_;
  std::optional<amqp::Publisher> publisher_;
  std::unique_ptr<engine::EngineThread> engine_thread_;
  Repeated sweeper_;
};

}  // namespace geres::hub
