// SPDX-License-Identifier: Apache-2.0
// One round of the engine: the verbs as they run inside the transaction, and the steps that follow them. Each verb
// checks first and changes then, so that a command that fails its own checks fails alone.
//
// A Tick lives for one transaction. In-memory state is changed as it goes; when the commit fails the whole State is
// dropped and read again. What goes out (answers, events) is kept until the commit.
//
// The classes below see those above them that they are made of, and no others: the job book moves jobs, attempts holds
// what leases and hosts have to do with that, the rest are verbs and steps.
#pragma once

#include "hub/engine/batches.h"
#include "hub/engine/blob_book.h"
#include "hub/engine/catalogue.h"
#include "hub/engine/due.h"
#include "hub/engine/granting.h"
#include "hub/engine/job_verbs.h"
#include "hub/engine/reporting.h"
#include "hub/engine/retention.h"
#include "hub/engine/scaling.h"
#include "hub/engine/submitting.h"

namespace geres::hub::engine {

struct Tick {
  Round round;

  Lanes lanes{round};
  EventLog events{round};
  JobBook book{round, lanes, events};
  Attempts attempts{round, lanes, book, events};

  Submitting submitting{round, lanes, book};
  JobVerbs jobs{round, book, attempts};
  Due due{round, book};
  Webhooks webhooks{round, lanes};
  Operations operations{round, book, attempts, webhooks};
  Batches batches{round, lanes, events, operations};
  Catalogue catalogue{round, lanes};
  BlobBook blobs{round};
  Retention retention{round, lanes, book, webhooks};
  Machines machines{round};
  Enrolments enrolments{round};
  Hosts hosts{round, events, attempts, machines, enrolments};
  Fetches fetches{round, hosts};
  Reporting reporting{round, attempts, hosts, fetches};
  Scaling scaling{round, events, hosts, machines, catalogue};
  Granting granting{round, lanes, attempts, fetches};

  explicit Tick(Round round) : round(std::move(round)) {}
  Tick(const Tick&) = delete;
  Tick& operator=(const Tick&) = delete;

  void run_steps(bool growing);  // in their order, after the verbs
};

}  // namespace geres::hub::engine
