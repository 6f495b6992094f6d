// SPDX-License-Identifier: Apache-2.0
// Hosts: joining, being heard of, falling silent, going.
#pragma once

#include "hub/engine/attempts.h"
#include "hub/engine/enrolments.h"
#include "hub/engine/machines.h"

namespace geres::hub::engine {

class Hosts {
 public:
  Hosts(Round& round, EventLog& events, Attempts& attempts, Machines& machines, Enrolments& enrolments)
      : state_(round.state),
        desk_(round.desk),
        store_(round.store),
        ids_(round.ids),
        options_(round.options),
        now_(round.now),
        out_(round.out),
        events_(events),
        attempts_(attempts),
        machines_(machines),
        enrolments_(enrolments) {}

  Result<model::Host> join(const RegisterHost& host);
  Result<HostInfo> set_mode(const std::string& text, model::HostMode mode);  // by an operator
  void set_mode(HostState& host, model::HostMode mode, model::ModeBy by, const std::string& reason);
  // The host whose call this is, now known to be alive. Null: it is not registered (any more).
  HostState* seen(Uuid id);
  void leave(Uuid id);  // by its own will
  Result<bool> remove_enrolment(Uuid id);

  void watch();  // a step

 private:
  void emit_host(store::EventType type, const HostState& host);
  void forget(Uuid id);
  Result<void> free_name(const HostState& host, const Admission& admission);
  void keep_drain(const State::HostName& name);
  void forget_drain(const State::HostName& name);
  std::optional<HostInfo> resume_absent(const std::string& name);

  State& state_;
  Desk& desk_;
  BufferedStore& store_;
  IdSource& ids_;
  const Options& options_;
  const Now& now_;
  Outbox& out_;
  EventLog& events_;
  Attempts& attempts_;
  Machines& machines_;
  Enrolments& enrolments_;
};

Error host_gone();  // for a call of a host that is not registered any more

// `guess`: see expected_duration()
HostInfo host_info(const State& state, const HostState& host, const Now& now, Millis guess);

}  // namespace geres::hub::engine
