// SPDX-License-Identifier: Apache-2.0
// Join tokens, and the hosts that have enrolled with them: who may join under which name, and by which secret.
#pragma once

#include "hub/engine/round.h"

namespace geres::hub::engine {

Error name_taken(const std::string& name);  // says nothing of whose it is

// How a host joins, once it is clear that it may.
struct Admission {
  std::optional<model::Enrolment> enrolment;  // whose secret it uses from then on; none: it joins with a token
  bool writes_enrolment = false;              // it is new, or has changed
  bool never_heard = false;                   // this is a repeat: what has its name is itself, without the answer
  bool takes_over = false;                    // may have the name of another's host once that is silent
  std::optional<Uuid> join_token;             // of which it takes a use
  std::optional<Uuid> displaces;              // an enrolment whose name it gets
  std::optional<Uuid> replaces;               // an earlier life of it, of which nothing runs
};

class Enrolments {
 public:
  explicit Enrolments(Round& round) : state_(round.state), store_(round.store), ids_(round.ids), now_(round.now) {}

  // ---- for Hosts
  Result<Admission> admit(const RegisterHost& wanted, model::Host& host) const;  // fills in the host's tenants
  void enter(const Admission& admission, model::Host& host);
  void heard(Uuid enrolment);
  void forget(Uuid enrolment);
  void purge();

  // ---- verbs
  Result<model::JoinToken> make_token(const model::JoinToken& wanted);
  Result<bool> remove_token(Uuid id);
  Result<bool> renew(const RenewHostSecret& wanted);
  Result<bool> secret_used(Uuid id, const std::string& sha256);

 private:
  Result<Admission> by_join_token(const RegisterHost& wanted, model::Host& host) const;
  Result<Admission> by_own_secret(const RegisterHost& wanted, model::Host& host) const;
  Result<Admission> by_token(const RegisterHost& wanted, const model::Host& host) const;
  Result<void> may_use(const model::JoinToken& token, const model::Host& host) const;
  const model::Enrolment* repeated(const RegisterHost& wanted) const;
  std::optional<Uuid> own_life(const std::optional<Uuid>& replaces, Uuid enrolment) const;
  std::optional<Uuid> owner(const model::Host& host) const;
  void put(const model::Enrolment& enrolment);

  State& state_;
  BufferedStore& store_;
  IdSource& ids_;
  const Now& now_;
};

}  // namespace geres::hub::engine
