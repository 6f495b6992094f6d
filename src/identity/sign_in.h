// SPDX-License-Identifier: Apache-2.0
// People who sign in by a provider's form, for the hub's page: OpenID Connect's code flow with PKCE (RFC 7636) and the
// issuer in the answer (RFC 9207). What is open is kept here, in memory: the browser has a secret that names it.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "base/worker_pool.h"
#include "identity/verifier.h"

namespace geres::identity {

constexpr Millis kSignInMax = 600'000;  // from the button to the provider's answer

// Any thread.
class SignIns {
 public:
  static constexpr std::size_t kOpenMax = 10'000;  // beyond it the oldest is forgotten

  SignIns(Verifier& verifier, transport::Options http, Millis answer_max, const Clock& clock);
  ~SignIns();

  struct Begun {
    std::string secret;  // for the browser's cookie
    std::string url;     // of the provider's form
  };
  // `redirect` is the hub's own address that the provider sends people back to, `to` where they go on then. Blocks
  // while the provider is asked where its form is.
  Checked<Begun> begin(const std::string& provider, const std::string& redirect, const std::string& to);

  struct Answer {  // as the provider has it in the query
    std::string code, state, issuer, error, description;
  };
  struct Done {
    CallerPtr caller;
    std::string to;
  };
  // Each sign-in once. Blocks while the provider is asked for tokens, of which none is kept.
  Checked<Done> finish(const std::string& secret, const Answer& answer);

  WorkerPool& pool() { return pool_; }  // for what blocks
  void stop();                          // ends what is under way

 private:
  struct Open {
    std::string provider, redirect, to, state, verifier, nonce;
    Millis until = 0;
  };
  struct Tokens {
    std::string id, access;
  };
  void put(const std::string& secret, Open open);
  Checked<Open> take(const std::string& secret, const std::string& state);
  Checked<Tokens> exchange(const Verifier::LoginAt& at, const Endpoints& endpoints, const Open& open,
                           const std::string& code);

  Verifier& verifier_;
  const transport::Options http_;
  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Open> open_;           // by the secret's digest
  std::multimap<Millis, std::string> by_end_;  // digests
  std::atomic<bool> stopping_ = false;
  WorkerPool pool_{2};
};

}  // namespace geres::identity
