// SPDX-License-Identifier: Apache-2.0
// How a host proves to its hub who it is: by a token, by a join token the first time, and ever after by the secret that
// it got for that. The secret lies in DATA/secret.json, for its owner alone, and is changed now and then.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "transport/token_source.h"

namespace geres::host {

// As it is kept. Without a secret it is a host that is joining.
struct KeptSecret {
  std::string hub;     // for this hub alone
  std::string ca_pin;  // what its certificates are known by; empty: nothing
  std::string name;
  std::string secret;
  Millis since = 0;         // wall: has it been the secret
  std::string join_token;   // id of the one with which it joined or joins
  std::string joining;      // the random id with which it joins
  std::int64_t change = 0;  // how many calls have asked for a secret
};

// nullopt: there is none. Throws system_error; a file that makes no sense is an error (badValue).
Result<std::optional<KeptSecret>> kept_secret(const std::filesystem::path& data);

struct JoinToken {
  std::string id, secret;
};

// Of one host. One thread.
class OwnSecret {
 public:
  struct Options {
    std::filesystem::path data;
    std::string hub, ca_pin, name;
    std::string token;              // with the role host; empty: none
    std::optional<JoinToken> join;  // used while there is no secret, or the hub refuses it
    Millis renew_every = 7 * 86'400'000LL;
    transport::TokenSourcePtr tokens = {};  // set: in the place of `token`
  };

  OwnSecret(Options options, const Clock& clock);  // reads what is kept; throws std::system_error

  // ---- to register
  std::string bearer();
  struct Joining {
    std::string id;
    std::int64_t change = 0;
  };
  std::optional<Joining> joining();  // to be sent along; kept before it is sent
  bool next();                       // it was refused: is there another way, or another token?
  void accepted() { asked_anew_ = false; }
  std::string advice() const;  // when there is none left
  Result<void> joined(const std::string& secret);

  // ---- later
  std::int64_t next_change();                       // the number of the call that is to ask for a secret
  std::optional<Millis> renewal() const;            // wall: when it is due; nullopt: it has none of its own
  Result<void> renewed(const std::string& secret);  // keeps it; it counts also if that cannot be done

 private:
  enum class By { own, join, token };
  void keep(KeptSecret now);
  bool another_token();
  const Options options_;
  const Clock& clock_;
  std::optional<KeptSecret> kept_;
  std::vector<By> ways_;  // the one in use first
  std::string sent_;      // the last token
  bool asked_anew_ = false;
};

}  // namespace geres::host
