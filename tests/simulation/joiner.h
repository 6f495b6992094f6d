// SPDX-License-Identifier: Apache-2.0
// How a host proves to its hub who it is: by a join token that it shares with others, of which not all get in, and ever
// after by a secret of its own, as its disk keeps it. It changes that secret now and then, loses answers, and must be
// let in whatever happens. What the hub's front does with secrets (hub/api/access.h) is done here from the engine's
// state.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "simulation/hub.h"

namespace geres::simulation {

// What goes along with a call.
struct Proof {
  std::optional<Uuid> join_token;
  std::string joining;  // with it
  std::string secret;   // of its own; empty: it has none
  std::int64_t change = 0;
};

class Joiner {
 public:
  Joiner(Dice& dice, Ledger& ledger, Hub& hub, std::optional<Uuid> join_token)
      : dice_(dice), ledger_(ledger), hub_(hub), join_token_(join_token) {}

  // ---- at the host
  Proof proof();              // for a registration
  std::string draw_secret();  // for what the hub would draw
  void joined(const Proof& by, const std::string& secret);
  bool refused(const Proof& by, Code code);  // true: it gives its name up for another
  void lose_disk();                          // and with it who it was
  bool has_secret() const { return !secret_.empty(); }
  const std::string& secret() const { return secret_; }
  std::int64_t next_change() { return ++change_; }
  void renewed(std::int64_t change, const std::string& secret);

  // ---- at the hub
  // Whose secret this is. nullopt: nobody's. The first call with a new one ends the one before.
  std::optional<Uuid> admit(Engine& engine, const std::string& secret);
  void let_in(const Proof& by);

 private:
  Dice& dice_;
  Ledger& ledger_;
  Hub& hub_;
  std::optional<Uuid> join_token_;
  std::string joining_, secret_;
  std::int64_t change_ = 0;
  std::set<std::string> ended_;  // secrets that the hub has said to be over
};

}  // namespace geres::simulation
