// SPDX-License-Identifier: Apache-2.0
// Where the keys for AWS come from, by the rules that AWS's own tools follow. The first source that is set up counts:
//
//   1. a profile that the place names (?profile=P), and nothing else then
//   2. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
//   3. AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN: a token of the cluster's, for which STS gives keys
//   4. the profile AWS_PROFILE, else "default", of the files ~/.aws/credentials and ~/.aws/config
//   5. the role of the container (ECS, EKS Pod Identity), from AWS_CONTAINER_CREDENTIALS_FULL_URI or …_RELATIVE_URI
//   6. the role of the machine, from its metadata service (IMDSv2), unless AWS_EC2_METADATA_DISABLED is true
//
// Temporary keys are renewed from five minutes before their end on, by one thread, while the others go on with the old
// ones.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "objects/calls.h"
#include "objects/environment.h"
#include "objects/sigv4.h"

namespace geres::objects {

struct AwsProfile {
  std::string name;                             // "default"
  bool named = false;                           // by whoever wrote the place, not by a default
  std::map<std::string, std::string> settings;  // of both files; lower-case names
  std::string files;                            // for people: where was looked
};
// Throws std::system_error if a file is there but cannot be read.
AwsProfile read_profile(const Environment& environment, const std::string& named);

class AwsCredentials {
 public:
  struct Options {
    Environment environment;
    std::string profile;     // by name; empty: the default, after other sources
    std::string region;      // whose STS is asked
    bool plaintext = false;  // STS by http:// too, other than on loopback
    const Clock* clock = nullptr;
    std::function<void(Millis)> pause;  // between two tries
  };
  explicit AwsCredentials(Options options);

  // Any thread. The error says which sources there are, and what is wrong with the one that was asked.
  [[nodiscard]] Result<AwsKeys> get();
  // The server does not take these any more: the next get() asks their source anew. False if that would give the same.
  bool refused(const AwsKeys& keys);
  // For people: the source of the keys that get() gave last.
  std::string source() const;

 private:
  struct Held {
    AwsKeys keys;
    std::string source;
    Millis renew_at = 0;  // wall
  };
  Result<Held> load();
  std::optional<Result<Held>> from_environment() const;
  std::optional<Result<Held>> from_web_identity(const std::string& token_file, const std::string& role,
                                                const std::string& session);
  std::optional<Result<Held>> from_profile(const AwsProfile& profile);
  std::optional<Result<Held>> from_container();
  Result<Held> from_machine();
  Result<Held> read_role(const transport::Answer<transport::Reply>& answer, const std::string& whose);
  Result<Held> from_sts(const std::string& token, const std::string& role, const std::string& session);
  Millis renew_at(const AwsKeys& keys) const;
  transport::Answer<transport::Reply> ask(Calls& calls, const transport::Call& call) const;

  Options options_;
  Calls calls_;    // STS, by the environment's proxies
  Calls machine_;  // the metadata service, which is on this machine's own link
  mutable std::mutex mutex_;
  std::optional<Held> held_;
  std::mutex renewing_;
};

}  // namespace geres::objects
