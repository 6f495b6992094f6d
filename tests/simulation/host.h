// SPDX-License-Identifier: Apache-2.0
// A worker machine as docs/host_protocol.md has it: an agent that talks to the hub, a runner that keeps the deadlines
// whatever becomes of the agent, and jobs, whose runs go into the ledger at their true times. Its clock drifts.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "hub/engine/with_jobs.h"
#include "simulation/hub.h"
#include "simulation/joiner.h"
#include "simulation/network.h"

namespace geres::simulation {

// When a lease ends for its host, counted from when its call was first sent and what the hub says it held it.
inline Millis lease_end(Millis counted_from, Millis ttl) {
  return counted_from + ttl - std::max<Millis>(500, ttl / 50);
}

struct HostKind {
  std::string name;
  int slots = 2;
  std::map<std::string, std::string> labels;
  std::string instance;  // of a scaler's machine; empty: it is none
  double rate = 1;
  // As hosts of 0.1.0: its fetches name the slots that are free, and it reports also while it holds nothing.
  bool first_version = false;
  std::optional<Uuid> join_token;
};

class Host {
 public:
  Host(Timeline& timeline, Dice& dice, const Plan& plan, Ledger& ledger, Network& network, Hub& hub, Trace& trace,
       Dice& join_dice, HostKind kind);

  void boot();
  bool up() const { return up_; }
  const std::string& name() const { return kind_.name; }
  Link link;
  // It is there, has always been able to start jobs, and the hub knows it, finds it well and has its requests.
  bool serves(const model::Requirements& needs);

  // ---- a machine that a scaler has made
  const std::string& instance() const { return kind_.instance; }
  void be_machine(std::string instance) { kind_.instance = std::move(instance); }  // before it boots
  void take_power();                                                               // for good
  bool without_power() const { return powerless_; }
  void become(const std::string& instance);  // another one, that was just made

  // ---- trouble
  void crash(Millis down);              // the machine, with all that runs there
  void freeze(Millis time);             // the agent; runner and jobs go on
  void sicken(Millis time, bool tiny);  // it cannot start jobs; tiny: because they are too large for it
  void leave(Millis away);              // in order: it finishes or gives back what it has, and says goodbye
  void heal();

 private:
  enum class Phase { preparing, running, ended };
  struct Attempt {
    Uuid lease, job;
    int attempt = 0;
    int slots = 1;
    std::int64_t memory = 0;  // bytes that it may have
    std::string behaviour;
    Millis ttl = 0, deadline = 0;  // local clock
    Phase phase = Phase::preparing;
    bool start_told = false, cancel_heard = false, dropped = false, stopping = false;
    int run = 0;  // numbers the runner's timers
    std::optional<hub::engine::Completion> finished;
  };
  struct FetchCall {
    std::string id;
    int slots = 0;
    Millis first_sent = -1;  // local
    int tries = 0;
    bool flying = false, settled = false;
  };
  struct Flight {
    std::vector<Uuid> running, started, finished;
    bool leaving = false;
    Millis sent = 0;  // local
  };

  Millis local() const { return drift_.local(timeline_.now()); }
  void agent(Millis delay, Timeline::Act act);  // in this life of it; later when it is frozen
  void enrol();
  void enrolled(const Result<model::Host>& answer, const Proof& by, const std::string& secret);
  void renew_secret_within(Millis time);
  void renew_secret();
  void gone();
  void turn();

  int free_slots() const;
  int slots_to_name() const;
  void open_fetch();
  void send_fetch(FetchCall& call);
  void fetched(const std::string& id, const Result<hub::engine::FetchAnswer>& answer);
  void take_lease(const hub::engine::Granted& granted, Millis counted_from);
  void take_orders(const std::vector<hub::engine::CancelOrder>& cancels, model::HostMode mode);

  void report_within(Millis delay);
  void send_report();
  void reported(const Result<hub::engine::ReportAnswer>& answer);
  // What the hub takes for heard has been heard.
  void check_cancels();
  void take_report(const hub::engine::ReportAnswer& answer, const Flight& flight);
  void rogue(const hub::engine::Completion& item);

  void run(Uuid lease);
  void end_run(Attempt& attempt);
  void holds(const Attempt& attempt);
  void arm_deadline(const Attempt& attempt);
  void end(Uuid lease, model::Outcome outcome);
  void finish_without_run(Attempt& attempt, model::Outcome outcome);
  void could_not_start(Attempt& attempt);
  void stop_run(Attempt& attempt, Millis within, model::Outcome outcome);
  model::Outcome outcome_of(const Attempt& attempt);
  bool runs_out_of_memory(const Attempt& attempt) const;

  Timeline& timeline_;
  Dice& dice_;
  const Plan& plan_;
  Ledger& ledger_;
  Network& network_;
  Hub& hub_;
  Trace& trace_;
  HostKind kind_;
  Joiner joiner_;
  Drift drift_;

  bool up_ = false, healed_ = false, powerless_ = false;
  int life_ = 0;
  Millis frozen_until_ = 0;  // true time
  Millis sick_until_ = 0;    // likewise; 0: it never was
  bool tiny_ = false;
  Uuid id_, last_id_;
  bool enrolled_ = false;
  int boots_ = 0, fetch_count_ = 0;
  std::map<Uuid, Attempt> attempts_;
  std::deque<FetchCall> calls_;
  std::string fetched_id_;
  std::int64_t seq_ = 0;
  std::optional<Flight> flight_;
  std::uint64_t flight_no_ = 0;
  Millis report_due_ = -1;  // true time
  model::HostMode mode_ = model::HostMode::run;
  bool leaving_ = false, goodbye_said_ = false;
  Millis away_ = 0;
};

}  // namespace geres::simulation
