// SPDX-License-Identifier: Apache-2.0
#include "simulation/final_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace geres::simulation {

using model::JobState;
using model::Outcome;

namespace {

constexpr int kHostLossesMax = 3;
constexpr Millis kKeepKeyMin = 4'000;  // with retention, as the hub has it

class FinalChecks {
 public:
  FinalChecks(Ledger& ledger, Hub& hub, const Plan& plan)
      : ledger_(ledger), hub_(hub), plan_(plan), reads_(hub.store().reads()) {}

  void run() {
    read_jobs();
    if (plan_.store_audit) audit_store();
    check_log();
    check_hot_tables();
    check_counts();
    for (const auto& [id, job] : jobs_) check_job(job);
    for (const auto& [id, record] : ledger_.jobs) check_record(id, record);
    for (std::size_t i = 0; i < ledger_.submits.size(); ++i) check_submit(int(i), ledger_.submits[i]);
    for (const auto& [lease, record] : ledger_.leases) check_completion(lease, record);
  }

 private:
  void wrong(const char* invariant, std::string text) { ledger_.violate(invariant, std::move(text)); }

  void read_jobs() {
    store::Page page{500, 0, true};
    do {
      auto part = reads_.jobs({}, page);
      page.after = part.next;
      for (auto& job : part.jobs) jobs_.emplace(job.id, std::move(job));
    } while (page.after != 0);
  }

  // The store's own auditor: every rule between its rows.
  void audit_store() {
    store::AuditOptions options;
    options.now = hub_.clock().wall();
    if (plan_.retention) options.keep_key_min = kKeepKeyMin;
    const auto audit = reads_.audit(options);
    if (audit.violations.empty()) return;
    const auto& first = audit.violations.front();
    wrong("audit", fmt::format("{} ({}): {}", first.rule, first.row, first.sentence));
  }

  // I11: what is kept of the log is what was told, without a hole.
  void check_log() {
    const auto last = hub_.store().load().last_event;
    if (last != ledger_.last_event())
      wrong("I11", fmt::format("the log ends with {}, not {}", last, ledger_.last_event()));
    const auto first = std::max<store::EventNo>(reads_.event_range().first, 1);
    if (first > 1) ledger_.hit(Path::events_purged);
    if (first > 1 && !plan_.retention) wrong("I11", "events are gone");
    auto next = first;
    for (auto rows = reads_.events(first - 1, 1'000); !rows.empty(); rows = reads_.events(next - 1, 1'000))
      for (const auto& row : rows) {
        if (row.no != next++) return wrong("I11", fmt::format("the log has a hole before {}", row.no));
        if (Ledger::print_of(row) != ledger_.event_prints()[std::size_t(row.no - 1)])
          return wrong("I11", fmt::format("event {} is another one than was told", row.no));
      }
  }

  // I8: nothing is left that waits for something.
  void check_hot_tables() {
    auto& store = hub_.store();
    const auto image = store.load();
    if (!image.leases.empty()) wrong("I8", "a lease is left over");
    if (!image.operations.empty()) wrong("I8", "an operation is left over");
    for (const auto& lane : image.lanes)
      if (lane.ready != 0) wrong("I8", "a lane has ready jobs");
    if (store.next_due(false) || store.next_due(true)) wrong("I8", "something is scheduled");
    counts_ = image.counts;
  }

  void check_counts() {
    std::map<std::pair<Uuid, std::string>, model::StateCounts> real;
    for (const auto& [id, job] : jobs_) ++real[{job.spec.batch, job.spec.tenant}][std::size_t(job.status.state)];
    for (const auto& row : counts_)
      if (const auto& jobs = real[{row.batch, row.tenant}]; row.counts != jobs)
        wrong("counters", fmt::format("batch {} counts jobs of {} by state as {}, there are {}", row.batch.str(),
                                      row.tenant, fmt::join(row.counts, " "), fmt::join(jobs, " ")));
  }

  // I10, and the attempts that led there.
  void check_job(const model::Job& job) {
    const auto& status = job.status;
    const auto name = job.id.str();
    const auto attempts = reads_.attempts(job.id);
    const auto* record = ledger_.find(job.id);
    if (record == nullptr) return wrong("I11", fmt::format("job {} was never told of", name));
    int number = 0, failures = 0, losses = 0;
    std::set<std::string> lost_on;
    for (const auto& attempt : attempts) {
      if (attempt.attempt != ++number) return wrong("I4", fmt::format("job {} has no attempt {}", name, number));
      if (!attempt.outcome) return wrong("I8", fmt::format("attempt {} of job {} has not ended", number, name));
      const auto outcome = *attempt.outcome;
      failures += outcome == Outcome::failed || outcome == Outcome::timeout ||
                  (outcome == Outcome::cancelled && (number < status.attempt || !record->cancelled_held));
      if (outcome == Outcome::lost || outcome == Outcome::expired) ++losses, lost_on.insert(attempt.host);
      if (outcome == Outcome::finished && number != status.attempt)
        return wrong("I3", fmt::format("job {} ran on after it had finished", name));
    }
    if (number != status.attempt)
      return wrong("I4", fmt::format("job {} has {} attempts, not {}", name, number, status.attempt));
    if (failures != status.failures)
      return wrong("I10", fmt::format("job {} failed {} times, counted {}", name, failures, status.failures));
    if (losses != status.host_losses)
      return wrong("I10", fmt::format("job {} cost {} hosts, counted {}", name, losses, status.host_losses));
    if (failures > job.spec.max_attempts) return wrong("I10", fmt::format("job {} failed too often", name));
    // All on one host, it was tried on another; so it may have been more.
    if (losses > kHostLossesMax * 2) return wrong("I10", fmt::format("job {} cost too many hosts", name));
    if (status.state != JobState::cancelled && losses >= kHostLossesMax && lost_on.size() > 1 &&
        status.reason != model::Reason::poison)
      return wrong("I10", fmt::format("job {} cost {} hosts and is no poison", name, losses));
    if (status.reason == model::Reason::poison && losses < kHostLossesMax)
      return wrong("I10", fmt::format("job {} is poison after {} losses", name, losses));
    if (status.reason == model::Reason::internal) check_never_started(name, attempts);
    const bool finished = !attempts.empty() && attempts.back().outcome == Outcome::finished;
    if (finished != (status.state == JobState::finished))
      return wrong("I3", fmt::format("job {} is {} after its last attempt", name, model::state_name(status.state)));
    if (finished && status.result != "{}") return wrong("I3", fmt::format("job {} has lost its result", name));
    if (status.redriven_as && !jobs_.contains(*status.redriven_as) && !plan_.retention)
      return wrong("I2", fmt::format("job {} was run again as nothing", name));
  }

  // A job fails so only after a day of attempts that did not start, with nothing else between them.
  void check_never_started(const std::string& name, const std::vector<model::Attempt>& attempts) {
    Millis since = 0, until = 0;
    for (const auto& attempt : attempts) {
      const bool in_order = attempt.outcome == Outcome::released && !attempt.started_at && attempt.error.empty();
      if (in_order) continue;  // says nothing
      until = *attempt.ended_at;
      if (attempt.outcome != Outcome::released || attempt.started_at)
        since = 0;
      else if (since == 0)
        since = until;
    }
    if (since == 0 || (!plan_.wall_jumps && until - since < plan_.unstarted_max - 100))
      wrong("unstarted", fmt::format("job {} was given up after {} ms", name, until - since));
  }

  // I1 and I2: every job that was told of is there, as it ended.
  void check_record(Uuid id, const JobRecord& record) {
    if (!model::ended(record.state)) return wrong("I8", fmt::format("job {} never ended", id.str()));
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) {
      const Millis now = hub_.clock().wall();
      const bool deleted = ledger_.batches[record.row.spec.batch].delete_asked;
      if (!plan_.retention || (now - record.ended_at < kKeepKeyMin && !deleted))
        wrong("I1", fmt::format("job {} is gone", id.str()));
      return;
    }
    const auto& status = found->second.status;
    if (status.state != record.state)
      return wrong("I2", fmt::format("job {} is {}, told as {}", id.str(), model::state_name(status.state),
                                     model::state_name(record.state)));
    if (status.version < std::max(record.version, record.told))
      return wrong("I12", fmt::format("job {} went back to version {}", id.str(), status.version));
    if (record.row.status.redrive_of && !plan_.retention) {
      const auto old = jobs_.find(*record.row.status.redrive_of);
      if (old == jobs_.end() || !old->second.status.redriven_as)
        wrong("I2", fmt::format("job {} runs one again that does not know it", id.str()));
    }
    if (status.redrive_of && status.state == JobState::finished) {
      const auto old = jobs_.find(*status.redrive_of);
      if (old != jobs_.end() && old->second.status.state == JobState::failed && !old->second.status.settled_at)
        wrong("I2", fmt::format("job {} is the redrive that succeeded of one that is not settled", id.str()));
    }
    if (record.executing != 0) wrong("I6", fmt::format("job {} runs on", id.str()));
  }

  // I7: all or nothing, once for a key, and nothing where nothing was promised to have happened.
  void check_submit(int no, const SubmitRecord& op) {
    const auto made = op.made.front().size();
    if (plan_.retention) {  // a repeat may have come after some keys were forgotten
      if (op.done > 0 && made == 0) wrong("I1", fmt::format("submit {} was acknowledged and is not there", no));
      return;
    }
    for (const auto& place : op.made)
      if (place.size() != made) return wrong("I7", fmt::format("submit {} was done in part", no));
    const auto least = op.keyed ? std::min(op.done, 1) : op.done;
    const auto most = op.keyed ? std::min(op.done + op.unknown(), 1) : op.done + op.unknown();
    if (int(made) < least) return wrong("I1", fmt::format("submit {} was acknowledged and is not there", no));
    if (int(made) > most)
      return wrong("I7", fmt::format("submit {} made its jobs {} times, at most {} were due", no, made, most));
    for (std::size_t i = 0; op.keyed && i < op.ids.size(); ++i)
      if (op.made[i].front() != op.ids[i])
        return wrong("I7", fmt::format("submit {} was answered with another job", no));
  }

  // I3: what a host was told to be accepted is what stands there.
  void check_completion(Uuid lease, const LeaseRecord& record) {
    if (!record.accepted || !jobs_.contains(record.job)) return;
    const auto row = hub_.store().ended_attempt(lease);
    if (!row || row->attempt.outcome != record.accepted || row->attempt.exit != record.exit ||
        row->attempt.attempt != record.attempt)
      wrong("I3", fmt::format("the end of lease {} was accepted and is not there", lease.str()));
  }

  Ledger& ledger_;
  Hub& hub_;
  const Plan& plan_;
  store::Reads& reads_;
  std::map<Uuid, model::Job> jobs_;
  std::vector<store::BatchCounts> counts_;
};

}  // namespace

void check_finally(Ledger& ledger, Hub& hub, const Plan& plan) {
  FinalChecks(ledger, hub, plan).run();
}

}  // namespace geres::simulation
