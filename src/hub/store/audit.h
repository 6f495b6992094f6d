// SPDX-License-Identifier: Apache-2.0
// An audit of a store: every rule that must hold between its rows after every commit, asked as queries. It reads one
// committed state and changes nothing. What is legal for a while (an operation half done, a purge half done) breaks no
// rule, so whatever an audit reports is damage or a bug of ours.
#pragma once

#include <string>
#include <vector>

#include "model/batch.h"

namespace geres::hub::store {

struct AuditOptions {
  std::size_t max = 20;              // violations reported of one rule
  Millis now = 0;                    // wall clock: what may be forgotten already
  Millis keep_key_min = 86'400'000;  // as the engine has it: keys older than this may name jobs that are gone
  int host_losses_max = 3;           // likewise
};

struct Violation {
  std::string rule;       // "waits-nowhere": names it for people who search, and for tests
  std::string invariant;  // "I8": which promise it breaks; "file": what SQLite says about the file itself
  std::string table;
  std::string row;       // its key: "seq=115", ready to be put into a WHERE
  std::string sentence;  // what is wrong with it
};

struct Audit {
  model::StateCounts jobs{};  // by state, counted from the rows
  std::int64_t tick = 0;      // of the last commit
  std::string log;            // name of the event log
  std::int64_t events = 0;    // kept
  std::int64_t first_event = 0, last_event = 0;
  std::int64_t rules = 0;  // that were asked
  std::vector<Violation> violations;
  bool more = false;  // a rule found more than `max` rows
};

}  // namespace geres::hub::store
