// SPDX-License-Identifier: Apache-2.0
#include "cli/client/transport.h"

#include <exception>
#include <optional>

namespace geres::cli::client {

namespace {

Failure no_token(Error why) {
  Failure failure{Failure::Kind::problem, 401, {}, nullptr};
  failure.error = std::move(why);
  return failure;
}

}  // namespace

Answer<Reply> Transport::send(const Call& call) {
  if (!options_.tokens || !call.token.empty()) return send_once(call);
  const auto token = options_.tokens->token();
  if (!token) return no_token(token.error());
  options_.token = *token;
  auto answer = send_once(call);
  if (answer || answer.error().status != 401 || !options_.tokens->refused(options_.token)) return answer;
  const auto other = options_.tokens->token();
  if (!other) return no_token(other.error());
  options_.token = *other;
  return send_once(call);
}

Answer<Reply> Transport::send_once(const Call& call) {
  loop_.options() = options_;
  std::optional<Answer<Reply>> answer;
  std::exception_ptr thrown;
  transport::Call sent = call;
  if (sent.token.empty()) sent.token = options_.token;
  if (call.take)
    sent.sink = [&](std::string_view piece) {
      try {
        return call.take(piece) ? transport::Take::more : transport::Take::enough;
      } catch (...) {  // an exception must not pass through libcurl's frames
        thrown = std::current_exception();
        return transport::Take::enough;
      }
    };
  const auto id = loop_.start(std::move(sent), [&](Answer<Reply> got) { answer = std::move(got); });
  while (!answer) {
    loop_.turn(50);
    if (answer) break;
    if (options_.stop != nullptr && options_.stop->load()) loop_.cancel(id);
    if (!answer && call.idle) call.idle();
  }
  if (thrown) std::rethrow_exception(thrown);
  return std::move(*answer);
}

}  // namespace geres::cli::client
