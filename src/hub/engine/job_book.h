// SPDX-License-Identifier: Apache-2.0
// The only one that moves jobs from state to state. A move takes the job to its new place, counts it and tells it in
// the event log; so a job's state, its place, the counters and the log cannot come apart. What else a verb changes in a
// job it writes with update().
#pragma once

#include "hub/engine/event_log.h"
#include "hub/engine/lanes.h"
#include "model/job_transitions.h"

namespace geres::hub::engine {

class JobBook {
 public:
  JobBook(Round& round, Lanes& lanes, EventLog& events)
      : state_(round.state),
        store_(round.store),
        ids_(round.ids),
        options_(round.options),
        stats_(round.stats),
        now_(round.now),
        out_(round.out),
        lanes_(lanes),
        events_(events) {}

  std::optional<model::Job> visible_job(const Caller& caller, Uuid id);  // as of this very moment
  // So many jobs more of this tenant: tooManyQueued.
  Result<void> has_room(const std::string& tenant, std::int64_t jobs) const;

  // ---- jobs that come
  model::Job insert(const model::JobSpec& spec, LaneState& lane, std::optional<Uuid> redrive_of);
  // A new job with the same spec, linked both ways. The old one stays as it ended.
  Result<model::Job> redrive(model::Job old, const std::string& by);  // batchClosed, tooManyQueued, tooManyLanes

  // ---- jobs that wait
  void take_out(const model::Job& job);  // of its place: one of the next four must follow
  void make_ready(const model::Job& job, LaneState& lane);
  void make_scheduled(const store::ScheduledRow& row);
  void delay(model::Job& job, Millis until);  // by the wall clock
  void make_due(model::Job& job, LaneState& lane);
  void cancel_waiting(model::Job& job, const CancelWhat& what);
  void expire_queued(model::Job& job);

  // Its lane. Where there is no room for one more lane the job avoids nobody, and then asks for what it did at first.
  Result<LaneState*> lane_of(model::Job& job);

  // ---- jobs at work
  void grant(model::Job& job, const HostState& host);
  void start(model::Job& job);
  void requeue(model::Job& job, LaneState& lane);
  void retry(model::Job& job, Millis pause, std::int64_t more_memory = 0);
  void finish(model::Job& job);
  void fail_for_good(model::Job& job, model::Reason reason);
  void cancel(model::Job& job);

  // ---- jobs that have ended
  bool settle(model::Job& job);  // true: it was an open dead letter until now
  void purge(const model::Job& job);
  // One that takes no jobs and has none left. True: it is gone.
  bool forget_if_empty(const BatchState& batch);

  void update(const model::Job& job);

 private:
  void move(model::Job& job, model::Trigger trigger);  // asserts that the move is legal
  void count(BatchState& batch, const std::string& tenant, model::JobState state, std::int64_t by);
  void count_dead_letter(const model::Job& job, std::int64_t by);
  void settle_redriven(Uuid id);
  bool is_being_deleted(Uuid batch) const;

  State& state_;
  BufferedStore& store_;
  IdSource& ids_;
  const Options& options_;
  Stats& stats_;
  const Now& now_;
  Outbox& out_;
  Lanes& lanes_;
  EventLog& events_;
};

}  // namespace geres::hub::engine
