// SPDX-License-Identifier: Apache-2.0
#include "hub/amqp/claims.h"

#include <fmt/format.h>

#include <proton/message_id.hpp>
#include <proton/receiver_options.hpp>
#include <proton/sender_options.hpp>
#include <proton/source.hpp>
#include <proton/source_options.hpp>
#include <proton/target.hpp>
#include <proton/target_options.hpp>
#include <proton/types.hpp>

#include "base/bytes.h"
#include "base/uuid.h"

namespace geres::hub::amqp {
namespace {

constexpr const char* kNode = "$cbs";

// Of the names that brokers have for it, the draft's first.
std::optional<int> status_of(const proton::message& answer) {
  for (const char* name : {"status-code", "statusCode"}) {
    const auto value = answer.properties().get(name);
    if (value.empty()) continue;
    std::int64_t status = 0;
    if (proton::coerce(value, status), status >= 100 && status < 600) return int(status);
  }
  return std::nullopt;
}

std::string description_of(const proton::message& answer) {
  for (const char* name : {"status-description", "statusDescription"}) {
    const auto value = answer.properties().get(name);
    if (value.type() == proton::STRING) return plain_line(utf8_prefix(proton::get<std::string>(value), 300));
  }
  return {};
}

}  // namespace

void Claims::open(proton::connection& connection, Token token) {
  end();
  open_ = true;
  token_ = std::move(token);
  reply_to_ = "geres-" + random_hex(16);  // other clients must not guess it
  answers_ = connection.open_receiver(
      kNode, proton::receiver_options().target(proton::target_options().address(reply_to_)).credit_window(10));
  requests_ = connection.open_sender(kNode, proton::sender_options());
  waits_since_ = clock_.monotonic();
}

void Claims::end() {
  open_ = false;
  requests_ = {};
  answers_ = {};
  links_opened_ = 0;
  waits_since_.reset();
}

void Claims::put(Token token) {
  token_ = std::move(token);
  send();
}

void Claims::opened(const proton::sender& link) {
  if (link.target().address().empty()) return;  // refused; the reason comes next
  if (++links_opened_ == 2) send();
}

void Claims::opened(const proton::receiver& link) {
  if (link.source().address().empty()) return;
  if (++links_opened_ == 2) send();
}

void Claims::send() {
  proton::message request;
  request.id(std::to_string(++number_));
  request.reply_to(reply_to_);
  request.properties().put("operation", std::string("put-token"));
  request.properties().put("type", token_.type);
  request.properties().put("name", entity_);
  request.body(token_.text);
  requests_.send(request);
  waits_since_ = clock_.monotonic();
}

std::optional<Result<void>> Claims::answered(const proton::message& answer) {
  const auto& about = answer.correlation_id();
  if (!about.empty() && proton::to_string(about) != std::to_string(number_)) return std::nullopt;
  if (!waits_since_) return std::nullopt;
  waits_since_.reset();
  const auto status = status_of(answer);
  if (!status) return fail(Code::badValue, "the broker's answer to the token has no status-code");
  if (*status == 200 || *status == 202) return Result<void>();
  const auto why = description_of(answer);
  return fail(Code::unauthenticated, fmt::format("the broker refuses the token for {}: {}{}{}", entity_, *status,
                                                 why.empty() ? "" : ", ", why));
}

}  // namespace geres::hub::amqp
