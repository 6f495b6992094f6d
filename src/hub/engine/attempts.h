// SPDX-License-Identifier: Apache-2.0
// A job's way through an attempt: granted, started, its progress, asked to stop, ended; and what becomes of the job
// then. Holds together lease, slots, accounts and the job.
#pragma once

#include "hub/engine/job_book.h"

namespace geres::hub::engine {

class Attempts {
 public:
  Attempts(Round& round, Lanes& lanes, JobBook& book, EventLog& events)
      : round_(round),
        state_(round.state),
        store_(round.store),
        random_(round.random),
        options_(round.options),
        stats_(round.stats),
        now_(round.now),
        out_(round.out),
        lanes_(lanes),
        book_(book),
        events_(events) {}

  LeaseState* current(Uuid name);  // null: this lease is not current
  Granted grant(model::Job job, LaneState& lane, HostState& host);
  void start(LeaseState& lease);
  void take_progress(LeaseState& lease, const model::Progress& progress);
  void request_cancel(LeaseState& lease, const CancelWhat& what);
  // Of a job in any state. True: the request changed something.
  bool cancel(model::Job& job, const CancelWhat& what);
  // How every attempt ends: takes the lease away. `item`: what its host says; null: the hub ends it.
  void end(LeaseState& lease, model::Outcome outcome, const Completion* item);

  // ---- steps
  void expire_leases();
  void write_progress();

 private:
  void store_progress(LeaseState& lease);
  void give_back_slots(LeaseState& lease);
  void settle_job(model::Job& job, LaneState& lane, model::Outcome outcome, bool cancel_requested, bool unstarted,
                  std::int64_t more_memory);
  std::int64_t book_memory(model::Job& job, const LaneState& lane, const Completion& item, bool cancel_requested);
  void ready_again(model::Job& job, LaneState& lane);
  void settle_unstarted(model::Job& job);

  Round& round_;
  State& state_;
  BufferedStore& store_;
  Random& random_;
  const Options& options_;
  Stats& stats_;
  const Now& now_;
  Outbox& out_;
  Lanes& lanes_;
  JobBook& book_;
  EventLog& events_;
};

}  // namespace geres::hub::engine
