// SPDX-License-Identifier: Apache-2.0
#include "cli/client/transport.h"

#include <exception>
#include <optional>

namespace geres::cli::client {

Answer<Reply> Transport::send(const Call& call) {
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
