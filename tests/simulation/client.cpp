// SPDX-License-Identifier: Apache-2.0
#include "simulation/client.h"

#include <fmt/format.h>

#include "hub/engine/state.h"

namespace geres::simulation {

using hub::engine::BulkDone;
using hub::engine::CancelWhat;
using hub::engine::Submit;
using hub::engine::Submitted;
using model::Job;

namespace {

std::string digest(char letter) {
  return std::string(64, letter);
}

bool definite(Code code) {
  return code != Code::notDone && code != Code::unknown && code != Code::unavailable && code != Code::storageFull;
}

}  // namespace

Client::Client(Timeline& timeline, Dice& dice, const Plan& plan, Ledger& ledger, Network& network, Hub& hub,
               Trace& trace, std::string tenant, int jobs)
    : timeline_(timeline),
      dice_(dice),
      plan_(plan),
      ledger_(ledger),
      network_(network),
      hub_(hub),
      trace_(trace),
      tenant_(std::move(tenant)),
      caller_{"client", tenant_.empty(), tenant_.empty(), {}},
      jobs_left_(jobs) {
  if (!tenant_.empty()) caller_.tenants = {tenant_};
}

void Client::start() {
  timeline_.after(dice_.between(1, 500), [this] { next(); });
}

// ---- one call after the other ---------------------------------------------------------------------------------------

void Client::next() {
  if (call_ || healed_) return;
  if (storm_ > 0 && !known_.empty()) {
    --storm_;
    return cancel(dice_.pick(known_));
  }
  if (jobs_left_ > 0 && (known_.empty() || dice_.percent(60))) return submit();
  if (known_.empty()) return timeline_.after(300, [this] { next(); });
  disturb();
}

void Client::begin(Call call) {
  call_ = std::move(call);
  ++call_no_;
  tries_ = 0;
  send();
}

void Client::send() {
  ++tries_;
  const auto no = ++send_no_;
  network_.up(link, [this, no, call = *call_] {
    hub_.receive([this, no, call](Engine& engine) {
      call(engine, [this, no](bool again) {
        network_.down(link, hub_.held_up(), [this, no, again] {
          if (no != send_no_ || !call_) return;  // it has hung up
          if (again)
            return timeline_.after(dice_.between(20, 400), [this, no] {
              if (no == send_no_ && call_) send();
            });
          call_.reset();
          ++send_no_;
          if (healed_) return;
          timeline_.after(storm_ > 0 ? 1 : dice_.between(5, plan_.busy / 25), [this] { next(); });
        });
      });
    });
  });
  timeline_.after(dice_.between(1'500, 3'000), [this, no] {
    if (no == send_no_ && call_) send();
  });
}

// Books an answer when the hub gives it, and tells the client whether to try again.
template <class T>
Answer<T> Client::answer(Reply reply, std::function<void(const T&)> done) {
  return hub_.answer<T>([this, reply = std::move(reply), done = std::move(done)](Result<T>& result) {
    if (result) done(*result);
    if (!result && result.error().code == Code::storageFull) ledger_.hit(Path::storage_full_answered);
    if (!result && result.error().code == Code::unknown) ledger_.hit(Path::unknown_answered);
    reply(!result && !definite(result.error().code));
  });
}

// ---- submits --------------------------------------------------------------------------------------------------------

hub::engine::NewJob Client::new_job(int op, int index) {
  hub::engine::NewJob job;
  auto& spec = job.spec;
  spec.tenant = tenant_;
  spec.type = dice_.percent(50) ? "Work" : "Other";
  spec.package = "tools";
  spec.name = fmt::format("{}.{}", op, index);
  spec.priority = std::int64_t(dice_.draw(3));
  spec.max_attempts = 1 + int(dice_.draw(4));
  spec.backoff = {100, 2, 1'000};
  spec.parameters = "ok";
  if (dice_.percent(5)) spec.parameters = "fail";
  if (dice_.percent(2)) spec.parameters = "abort";
  if (plan_.poison && dice_.permille(15)) spec.parameters = "poison";
  if (dice_.percent(8)) spec.delay = dice_.between(100, 3'000);
  if (dice_.percent(4)) spec.not_before = hub_.clock().wall() + dice_.between(100, 3'000);
  if (dice_.percent(5)) spec.queue_timeout = dice_.between(200, 4'000);
  if (dice_.percent(10)) spec.lease = dice_.between(2'000, 8'000);
  if (plan_.needs && dice_.percent(15)) spec.requirements.slots = 2;
  if (plan_.needs && dice_.percent(15)) spec.requirements.labels = {{"gpu", "yes"}};
  if (!batches.empty() && dice_.percent(60)) job.batch = dice_.pick(batches);
  return job;
}

void Client::submit() {
  const bool list = dice_.percent(60);
  const int jobs = list ? int(std::min<std::uint64_t>(1 + dice_.draw(12), std::uint64_t(jobs_left_))) : 1;
  jobs_left_ -= jobs;
  const bool keyed = dice_.percent(80);
  const bool list_key = list && keyed && dice_.percent(50);
  const int op = ledger_.new_submit(tenant_, jobs, keyed);
  Submit submit;
  submit.caller = caller_;
  submit.list = list;
  for (int i = 0; i < jobs; ++i) {
    submit.jobs.push_back(new_job(op, i));
    if (!keyed || list_key) continue;
    submit.jobs.back().spec.key = fmt::format("k{}-{}", op, i);
    submit.jobs.back().spec.key_digest = digest('a');
  }
  if (list_key) {
    submit.list_key = fmt::format("l{}", op);
    submit.list_digest = "a";
  }
  send_submit(op, std::move(submit));
}

void Client::send_submit(int op, Submit submit) {
  begin([this, op, submit](Engine& engine, const Reply& reply) {
    auto& record = ledger_.submits[std::size_t(op)];
    const bool again = record.received++ > 0;
    engine.ask(submit, hub_.answer<Submitted>([this, op, submit, reply, again](Result<Submitted>& result) {
      auto& record = ledger_.submits[std::size_t(op)];
      if (result) {
        ledger_.submitted(op, *result);
        if (again && result->replayed)
          ledger_.hit(submit.list_key.empty() ? Path::key_repeated : Path::list_key_repeated);
        known_.insert(known_.end(), result->ids.begin(), result->ids.end());
        if (record.keyed) past_.push_back({op, submit, timeline_.now()});
        return reply(false);
      }
      const auto code = result.error().code;
      if (code == Code::unknown)
        ledger_.hit(Path::unknown_answered);
      else
        ++record.refused;
      if (code == Code::storageFull) ledger_.hit(Path::storage_full_answered);
      if (code == Code::tooManyQueued) ledger_.hit(Path::too_many_queued);
      if (submit.list && definite(code)) ledger_.hit(Path::list_refused);
      // Once a job is purged its key may have been used for something else.
      const auto kept = [this](Uuid id) { return ledger_.kept(id); };
      if (code == Code::keyReused && (!plan_.retention || std::all_of(record.ids.begin(), record.ids.end(), kept)))
        ledger_.violate("I7", "the repeat of a submit was taken for another one");
      reply(!definite(code));
    }));
  });
}

// The same once more, as after a crash of the client; or another list under the same key, which must be refused.
void Client::repeat() {
  const auto past = dice_.pick(past_);
  if (dice_.percent(60)) return send_submit(past.op, past.submit);
  auto submit = past.submit;
  if (submit.list_key.empty())
    submit.jobs.back().spec.key_digest = digest('b');
  else
    submit.list_digest = "b";
  begin([this, submit, op = past.op](Engine& engine, const Reply& reply) {
    engine.ask(submit, hub_.answer<Submitted>([this, submit, op, reply](Result<Submitted>& result) {
      const auto code = result ? Code::internal : result.error().code;
      const auto& ids = ledger_.submits[std::size_t(op)].ids;
      const auto kept = [this](Uuid id) { return ledger_.kept(id); };
      const bool must = submit.list_key.empty() ? kept(ids.back()) : std::any_of(ids.begin(), ids.end(), kept);
      if (result && must) ledger_.violate("I7", "a key was accepted for something else");
      if (code == Code::keyReused) ledger_.hit(Path::key_misused);
      reply(!result && !definite(code));
    }));
  });
}

// ---- with what is there ---------------------------------------------------------------------------------------------

void Client::disturb() {
  const auto job = dice_.pick(known_);
  const auto draw = dice_.draw(100);
  if (draw < 25) return read(job);
  if (draw < 40) return past_.empty() ? read(job) : repeat();
  if (draw < 50) return dice_.percent(75) ? redrive(job) : dismiss(job);
  if (draw < 62) return plan_.fair ? read(job) : patch(job);
  if (draw < 66) return cancel_foreign();
  if (draw < 70) return redrive_many();
  if (draw < 76 && plan_.batches) return plan_.retention && dice_.percent(70) ? delete_batch() : close_or_pause();
  if (!plan_.cancels) return read(job);
  if (draw < 80) return cancel_many();
  if (draw < 83 && plan_.batches) return cancel_batch();
  cancel(job);
}

void Client::cancel(Uuid id) {
  begin([this, id](Engine& engine, const Reply& reply) {
    if (auto* job = ledger_.find(id)) job->cancel_asked = true;
    const CancelWhat what{dice_.between(10, 1'500), "no need"};
    engine.ask(hub::engine::CancelJob{caller_, id, what}, answer<Job>(reply, [this](const Job& job) {
                 trace_("cancel of job {} is acknowledged", brief(job.id));
                 ledger_.cancel_acknowledged(job, hub_.told());
               }));
  });
}

void Client::cancel_foreign() {
  std::vector<Uuid> others;
  for (const auto& [id, job] : ledger_.jobs)
    if (job.row.spec.tenant != tenant_) others.push_back(id);
  if (others.empty()) return next();
  begin([this, id = dice_.pick(others)](Engine& engine, const Reply& reply) {
    engine.ask(hub::engine::CancelJob{caller_, id, {}}, hub_.answer<Job>([this, reply](Result<Job>& result) {
      if (result)
        ledger_.violate("I13", "another tenant's job was seen");
      else if (result.error().code == Code::unknownJob)
        ledger_.hit(Path::foreign_job_hidden);
      reply(!result && !definite(result.error().code));
    }));
  });
}

void Client::cancel_many() {
  store::JobFilter filter;
  if (dice_.percent(50)) filter.tenants = {tenant_};  // else: what the caller may see
  if (dice_.percent(60)) filter.type = "Other";
  begin([this, filter](Engine& engine, const Reply& reply) {
    auto& asked = ledger_.tenants[tenant_].cancel_asked;
    asked.insert("Other");
    if (filter.type.empty()) asked.insert("Work");
    const auto upto = hub_.told();
    engine.ask(hub::engine::CancelWhere{caller_, filter, {200, "none of these"}},
               answer<BulkDone>(reply, [this, filter, upto](const BulkDone&) {
                 ledger_.hit(Path::bulk_cancelled);
                 for (auto& [id, job] : ledger_.jobs) {
                   const bool meant =
                       job.row.spec.tenant == tenant_ && (filter.type.empty() || job.row.spec.type == filter.type);
                   if (meant && job.first_event <= upto) job.cancelled_after = std::max<store::EventNo>(hub_.told(), 1);
                 }
               }));
  });
}

void Client::cancel_batch() {
  if (batches.empty()) return next();
  begin([this, name = dice_.pick(batches)](Engine& engine, const Reply& reply) {
    for (auto& [id, batch] : ledger_.batches)
      if (batch.tenant == tenant_ && batch.name == name) batch.cancel_asked = true;
    engine.ask(hub::engine::CancelBatch{caller_, name, {300, "enough"}},
               answer<model::Batch>(reply, [this](const model::Batch& batch) {
                 ledger_.hit(Path::batch_cancelled);
                 for (const auto& [seq, lease] : hub_.engine().state().leases)
                   if (lease.job->spec.batch == batch.id && !lease.row.cancel_requested_at)
                     ledger_.violate("I9", fmt::format("job {} runs, its batch's cancel is acknowledged, and "
                                                       "nobody tells its host",
                                                       lease.row.job.str()));
                 ledger_.batches[batch.id].cancelled_after = std::max<store::EventNo>(hub_.told(), 1);
               }));
  });
}

void Client::close_or_pause() {
  if (batches.empty()) return next();
  const bool close = dice_.percent(25), paused = dice_.percent(50);
  if (!close && !plan_.pauses) return next();
  begin([this, close, paused, name = dice_.pick(batches)](Engine& engine, const Reply& reply) {
    const auto done = answer<model::Batch>(
        reply, [this, close](const model::Batch&) { ledger_.hit(close ? Path::batch_closed : Path::batch_paused); });
    if (close)
      engine.ask(hub::engine::CloseBatch{caller_, name}, done);
    else
      engine.ask(hub::engine::PauseBatch{caller_, name, paused}, done);
  });
}

void Client::delete_batch() {
  if (batches.empty()) return next();
  begin([this, name = dice_.pick(batches)](Engine& engine, const Reply& reply) {
    for (auto& [id, batch] : ledger_.batches)
      if (batch.tenant == tenant_ && batch.name == name) batch.delete_asked = true;
    engine.ask(hub::engine::DeleteBatch{caller_, name},
               answer<BulkDone>(reply, [this](const BulkDone&) { ledger_.hit(Path::batch_deleted); }));
  });
}

void Client::dismiss(Uuid id) {
  begin([this, id](Engine& engine, const Reply& reply) {
    engine.ask(hub::engine::DismissJob{caller_, id}, answer<Job>(reply, [this](const Job& job) {
                 if (!job.status.settled_at) ledger_.violate("I2", "a dismissed job is not settled");
                 ledger_.hit(Path::dead_letter_dismissed);
                 ledger_.answered(job);
               }));
  });
}

void Client::resume_batch(const std::string& id) {
  begin([this, id](Engine& engine, const Reply& reply) {
    engine.ask(hub::engine::PauseBatch{caller_, id, false}, answer<model::Batch>(reply, [](const model::Batch&) {}));
  });
}

void Client::redrive(Uuid id) {
  begin([this, id](Engine& engine, const Reply& reply) {
    engine.ask(hub::engine::RedriveJob{caller_, id}, answer<Job>(reply, [this](const Job& job) {
                 ledger_.hit(Path::job_redriven);
                 ledger_.answered(job);
                 known_.push_back(job.id);
               }));
  });
}

void Client::redrive_many() {
  store::JobFilter filter;
  filter.tenants = {tenant_};
  filter.states = {model::JobState::failed};
  begin([this, filter](Engine& engine, const Reply& reply) {
    engine.ask(hub::engine::RedriveWhere{caller_, filter}, answer<BulkDone>(reply, [this](const BulkDone& done) {
                 if (done.count > 0) ledger_.hit(Path::bulk_redriven);
               }));
  });
}

void Client::patch(Uuid id) {
  hub::engine::JobPatch patch;
  if (dice_.percent(60)) patch.priority = std::int64_t(dice_.draw(4));
  if (dice_.percent(40)) patch.not_before.emplace(std::nullopt);
  if (dice_.percent(30)) patch.not_before.emplace(hub_.clock().wall() + dice_.between(100, 2'000));
  if (dice_.percent(20)) patch.tags = std::map<std::string, std::string>{{"changed", "yes"}};
  begin([this, id, patch](Engine& engine, const Reply& reply) {
    engine.ask(hub::engine::PatchJob{caller_, id, patch}, answer<Job>(reply, [this](const Job& job) {
                 ledger_.hit(Path::job_patched);
                 ledger_.answered(job);
               }));
  });
}

void Client::read(Uuid id) {
  begin([this, id](Engine&, const Reply& reply) {
    const auto job = hub_.store().reads().job(id);
    if (job || !hub_.may_have_purged(id)) ledger_.read(id, job);
    reply(false);
  });
}

}  // namespace geres::simulation
