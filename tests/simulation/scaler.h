// SPDX-License-Identifier: Apache-2.0
// A scaler as the hub sees it: it orders machines, drains hosts, retires and removes them, on what it knew some time
// ago, over a wire that loses, doubles and delays what it says. It decides by the dice, so it also asks for what it
// must not have. Two of them take turns; the one that is no longer needed does not know that.
//
// It has dice of its own, so that seeds without it go as they ever did.
#pragma once

#include <memory>
#include <vector>

#include "simulation/host.h"

namespace geres::simulation {

// What a provider does: a machine that is removed loses its power, some time after it was asked for.
class Scaler {
 public:
  Scaler(Timeline& timeline, Dice& dice, Ledger& ledger, Network& network, Hub& hub, Trace& trace,
         std::vector<std::unique_ptr<Host>>& hosts, std::string name);

  void start();
  void freeze(Millis time);
  void heal() { healed_ = true; }  // it stops: what it has begun goes on without it

 private:
  // As it was told of a host.
  struct Known {
    Uuid id;
    std::string instance;
    model::HostMode mode = model::HostMode::run;
  };
  template <class Verb, class Take>
  void ask(Verb verb, Take take);
  void later(Millis delay, void (Scaler::*act)());
  bool hub_works() const;
  void take_lease();
  void look();
  void act();
  void drain(const Known& host, bool resume);
  void retire(const Known& host);
  void remove(const std::string& instance);
  void order();

  Timeline& timeline_;
  Dice& dice_;
  Ledger& ledger_;
  Network& network_;
  Hub& hub_;
  Trace& trace_;
  std::vector<std::unique_ptr<Host>>& hosts_;
  std::string name_;
  Link link_;
  bool healed_ = false;
  Millis frozen_until_ = 0;
  std::int64_t epoch_ = 0;
  int requests_ = 0;
  std::vector<Known> known_;
  std::vector<std::string> unanswered_;  // instances whose removal was asked for, and nothing heard
};

}  // namespace geres::simulation
