// SPDX-License-Identifier: Apache-2.0
// What a broker is shown that takes tokens (claims-based security): an access token that an identity provider gives for
// client credentials (OAuth 2.0, RFC 6749 4.4), or a shared access signature of Azure, which is made here.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "hub/amqp/target.h"
#include "transport/loop.h"

namespace geres::hub::amqp {

struct Token {
  std::string type;    // as the broker knows it: "jwt", "servicebus.windows.net:sastoken"
  std::string text;    // never logged
  Millis expires = 0;  // wall time
};

// The name under which brokers of Azure know an address: "sb://host/address".
std::string entity_of(const Target& target);

// `expires` in wall time, in whole seconds.
Token shared_access_signature(const SharedAccessKey& key, const std::string& entity, Millis expires);

// Fetches on a thread of its own. Any thread.
class TokenSource {
 public:
  using Then = std::function<void(Result<Token>)>;

  TokenSource(TokenAccess access, std::string entity, const Clock& clock);
  ~TokenSource();  // stop()
  TokenSource(const TokenSource&) = delete;
  TokenSource& operator=(const TokenSource&) = delete;

  // A new token; one question at a time. `then` is called on the source's thread, unless it is stopped before.
  void ask(Then then);
  void stop();

 private:
  void run();
  Result<Token> fetch();
  Result<std::string> token_endpoint();
  Result<std::string> call(transport::Call call);

  const TokenAccess access_;
  const std::string entity_;
  const Clock& clock_;
  transport::Loop loop_;  // for the thread alone, but for wake()
  std::mutex mutex_;
  std::condition_variable changed_;
  Then then_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace geres::hub::amqp
