// SPDX-License-Identifier: Apache-2.0
// Claims-based security (OASIS draft, as Azure Service Bus speaks it): a pair of links to the node "$cbs" of a
// connection, over which a token is put for an address, and later a newer one. The container's thread.
#pragma once

#include <functional>
#include <optional>
#include <proton/connection.hpp>
#include <proton/delivery.hpp>
#include <proton/message.hpp>
#include <proton/receiver.hpp>
#include <proton/sender.hpp>
#include <string>

#include "base/clock.h"
#include "hub/amqp/token.h"

namespace geres::hub::amqp {

class Claims {
 public:
  Claims(std::string entity, const Clock& clock) : entity_(std::move(entity)), clock_(clock) {}

  // On a new connection; what there was on another one is forgotten.
  void open(proton::connection& connection, Token token);
  void put(Token token);
  void end();

  bool has(const proton::sender& link) const { return open_ && link == requests_; }
  bool has(const proton::receiver& link) const { return open_ && link == answers_; }
  void opened(const proton::sender& link);
  void opened(const proton::receiver& link);
  // The broker's word on the token that was put: good, or why not. Nullopt: about something else.
  std::optional<Result<void>> answered(const proton::message& answer);

  std::optional<Millis> waits_since() const { return waits_since_; }  // monotonic; for an answer
  Millis expires() const { return token_.expires; }                   // wall time

 private:
  void send();

  const std::string entity_;
  const Clock& clock_;
  proton::sender requests_;
  proton::receiver answers_;
  std::string reply_to_;
  Token token_;
  int number_ = 0;
  bool open_ = false;     // there are links, …
  int links_opened_ = 0;  // … of which the broker has opened so many
  std::optional<Millis> waits_since_;
};

}  // namespace geres::hub::amqp
