// SPDX-License-Identifier: Apache-2.0
// Identifies callers and says what they may do. Tokens and hosts' secrets are kept in memory, by their SHA-256 alone.
//
// Roles: an admin may do everything an operator may, an operator everything a submitter may, a submitter everything a
// viewer may. `host` stands apart: such a token may register hosts and nothing else. The secret that a host gets at
// registration is valid for that host's own calls and for the files of the leases it holds. A host that has enrolled
// registers with its secret as well.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "hub/engine/verbs.h"
#include "model/batch.h"

namespace geres::identity {
struct Caller;
class Verifier;
}  // namespace geres::identity

namespace geres::hub::api {

struct Identity {
  enum class Kind { nobody, token, host, join };
  Kind kind = Kind::nobody;
  std::string name;  // of the token or host
  std::vector<model::Role> roles;
  std::vector<std::string> tenants;  // empty: all
  std::optional<Millis> expires;
  Uuid id{};                                                           // of the token or host
  std::shared_ptr<const std::atomic<Millis>> session_until = nullptr;  // of a browser that has signed in; wall clock
  std::shared_ptr<const identity::Caller> provided = nullptr;          // by an identity provider: all that it says

  Uuid enrolment{};                         // of a host with a secret of its own
  std::vector<std::string> joins_for = {};  // as this one or with a join token: hosts for these tenants; empty: all
  std::string digest = {};                  // of the secret of such a host
  bool unsettled = false;                   // the secret before is still good until this one is used

  bool may(model::Role role) const;  // has it, or a higher one
  bool all_tenants() const { return kind == Kind::token && tenants.empty(); }
  bool sees(const std::string& tenant) const;
  bool operates() const { return may(model::Role::operator_) && all_tenants(); }  // may change what all tenants share
  std::string only_tenant() const { return tenants.size() == 1 ? tenants.front() : std::string(); }
  engine::Caller caller() const;
};

// Any thread.
class Access {
 public:
  void put_token(const model::Token& token);
  void remove_token(Uuid token);
  void put_host(const model::Host& host);
  void remove_host(Uuid host);
  void put_join_token(const model::JoinToken& token);
  void remove_join_token(Uuid token) { remove(token); }
  void put_enrolment(const model::Enrolment& enrolment);
  void remove_enrolment(Uuid enrolment);
  // Its secret goes on for an hour, so that it hears that it is forgotten and joins anew.
  void forget_host(Uuid host, Millis now);

  // The identity that this secret belongs to; nullptr if there is none, or if it has expired.
  std::shared_ptr<const Identity> find(std::string_view secret, Millis now) const;
  std::shared_ptr<const Identity> find(Uuid id, Millis now) const;  // likewise
  bool current(const Identity& who, Millis now) const;  // neither expired, revoked, signed out nor mapped otherwise
  // Set before the first request; null: tokens of identity providers are not taken.
  identity::Verifier* verifier = nullptr;

 private:
  void put(std::string sha256, Identity identity);
  void remove(Uuid id);
  struct Enrolled {
    model::Enrolment row;
    Uuid shown;  // who its secrets are now: its host, or itself while there was none
  };
  void show(Enrolled& enrolled);  // under the lock, as the next
  void conceal(Enrolled& enrolled);
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<const Identity>> by_digest_;
  std::unordered_map<Uuid, std::string> digest_of_;
  std::unordered_map<Uuid, Enrolled> enrolled_;
  std::deque<std::pair<Millis, Uuid>> forgotten_;  // hosts, and since when
};

std::string_view role_name(model::Role role);  // "operator"
std::string new_secret();                      // for a token or a host; shown once

// Of an identity provider: three parts, which nothing that the hub makes has.
bool is_jwt(std::string_view secret);
std::shared_ptr<const Identity> identity_of(std::shared_ptr<const identity::Caller> caller);

// What follows "Bearer " in an Authorization header; empty if it is something else.
std::string_view bearer_of(std::string_view authorization);

}  // namespace geres::hub::api
