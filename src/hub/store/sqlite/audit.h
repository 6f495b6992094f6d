// SPDX-License-Identifier: Apache-2.0
// Audits an open store. The rules are a table of queries (audit_rules_*.cpp); each gives the rows that break it.
#pragma once

#include <span>

#include "hub/store/audit.h"
#include "hub/store/sqlite/connection.h"

namespace geres::hub::store::sqlite {

// `query` gives (row, sentence) for every row that breaks the rule. In it :losses is the number of host losses that end
// a job, :old the moment before which a list's key may be forgotten. Functions of its own:
//   job_id(seq, lo)  id_text(id)  state_text(n)  event_text(n)  outcome_text(n)    text for people
//   seq_of(id)       the row number in an id's bytes
//   digest(hex)      as it is stored
struct Rule {
  const char* name;
  const char* invariant;
  const char* table;
  const char* query;
};

std::span<const Rule> place_rules();      // where jobs stand: ready, scheduled, leased, lanes, counters
std::span<const Rule> history_rules();    // attempts, outcomes, keys, files, packages, operations
std::span<const Rule> webhook_rules();    // and what they were told in vain
std::span<const Rule> enrolment_rules();  // hosts that have joined with a join token
std::span<const Rule> scaler_rules();     // pools, machines and what the scaler has done
std::span<const Rule> event_rules();      // the log, and that it agrees with the state

// Sees one committed state. Throws StoreFailed when the file cannot be read at all; damage that is found is reported.
Audit audit(Database& database, const AuditOptions& options);

}  // namespace geres::hub::store::sqlite
