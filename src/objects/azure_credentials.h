// SPDX-License-Identifier: Apache-2.0
// With what a store of Azure is opened: an account's key, a shared access signature (SAS), or the identity that Azure
// gives to a virtual machine or a pod. All of them come from the environment, never from a command line, which others
// on the machine can read.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "objects/calls.h"
#include "objects/environment.h"
#include "objects/object_store.h"

namespace geres::objects {

struct AzureCredentials {
  enum class Kind { key, sas, identity };
  Kind kind = Kind::key;
  std::string key;        // bytes
  std::string sas;        // a query, without '?'
  std::string client_id;  // of the identity; empty: the machine's only one
  // An identity of Kubernetes (AKS): a token of the cluster's, in a file, is given for one of Azure's. Empty: the
  // machine's metadata service is asked.
  std::string federated_token_file, tenant_id, authority;
  std::string metadata = "http://169.254.169.254";
  std::string endpoint;  // what a connection string says about it; empty: nothing
};

// `auth` is "key", "sas", "identity", or empty for the first of them that the environment has. `badValue` names the
// variable that is missing or cannot be read, and never shows its value.
[[nodiscard]] Result<AzureCredentials> read_azure_credentials(const std::string& account, const std::string& auth,
                                                              const std::string& client_id,
                                                              const Environment& environment);

// Tokens of an identity, kept until five minutes before they run out. Any thread.
class AzureIdentity {
 public:
  AzureIdentity(AzureCredentials credentials, const Patience& patience, const std::string& ca_file, const Clock& clock);

  // `blobStoreAway` says who did not give one, and why.
  [[nodiscard]] Result<std::string> token();
  // The store no longer takes it.
  void forget(const std::string& token);

 private:
  struct Token {
    std::string text;
    Millis ends_at = 0;  // wall
  };
  Result<Token> fetch();
  Result<transport::Call> call() const;

  const AzureCredentials credentials_;
  const Patience patience_;
  const Clock& clock_;
  Calls calls_;
  std::mutex mutex_;  // also held while a token is fetched, so that one thread does that for all
  Token token_;
  Millis next_fetch_at_ = 0;  // wall; while the old token is still good, a failed renewal is not repeated at once
};

}  // namespace geres::objects
