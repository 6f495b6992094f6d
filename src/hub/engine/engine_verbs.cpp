// SPDX-License-Identifier: Apache-2.0
// From a verb to a command on the queue. Most are answered at the end of their tick; a fetch is parked on the desk, a
// bulk verb is answered after its last slice.
#include <algorithm>

#include "hub/engine/command.h"
#include "hub/engine/engine.h"
#include "hub/engine/tick.h"
#include "hub/engine/with_jobs.h"

namespace geres::hub::engine {

namespace {

Error stopping() {
  return fail(Code::unavailable, "the hub is stopping", {}, "try again in a moment");
}

// A host counts a lease from when it asked plus how long it was held. While it waits its clock and the hub's go apart,
// a percent at most, and a lease's margin (half a second, or 2 % of it) must outweigh that: so no longer than this.
constexpr Millis kFetchWaitMax = 30'000;

// ---- who does what --------------------------------------------------------------------------------------------------

using store::OperationKind;

Result<Submitted> run(Tick& tick, const Submit& v) {
  return tick.submitting.submit(v);
}
Result<model::Job> run(Tick& tick, const PatchJob& v) {
  return tick.jobs.patch_job(v.caller, v.job, v.patch);
}
Result<model::Job> run(Tick& tick, const CancelJob& v) {
  return tick.jobs.cancel_job(v.caller, v.job, v.what);
}
Result<model::Job> run(Tick& tick, const RedriveJob& v) {
  return tick.jobs.redrive_job(v.caller, v.job);
}
Result<model::Job> run(Tick& tick, const DismissJob& v) {
  return tick.jobs.dismiss_job(v.caller, v.job);
}
Result<model::Batch> run(Tick& tick, const CreateBatch& v) {
  return tick.batches.create(v.caller, v.batch);
}
Result<model::Batch> run(Tick& tick, const CloseBatch& v) {
  return tick.batches.close(v.caller, v.batch);
}
Result<model::Batch> run(Tick& tick, const CancelBatch& v) {
  return tick.batches.cancel(v.caller, v.batch, v.what);
}
Result<model::Batch> run(Tick& tick, const PauseBatch& v) {
  return tick.batches.pause(v.caller, v.batch, v.paused);
}
Result<model::Tenant> run(Tick& tick, const PutTenant& v) {
  return tick.catalogue.put_tenant(v.tenant, v.settings);
}
Result<KeptPackage> run(Tick& tick, const PutPackage& v) {
  return tick.catalogue.put_package(v.package);
}
Result<std::int64_t> run(Tick& tick, const DeletePackage& v) {
  return tick.catalogue.delete_package(v.tenant, v.name, v.sha256);
}
Result<BlobClaim> run(Tick& tick, const ClaimBlob& v) {
  return tick.blobs.claim(v);
}
Result<bool> run(Tick& tick, const BlobArrived& v) {
  return tick.blobs.arrived(v);
}
Result<BlobSweep> run(Tick& tick, const SweepBlobs& v) {
  return tick.blobs.sweep(v);
}
Result<bool> run(Tick& tick, const BlobsRemoved& v) {
  return tick.blobs.removed(v);
}
Result<model::Token> run(Tick& tick, const CreateToken& v) {
  return tick.catalogue.create_token(v.token);
}
Result<bool> run(Tick& tick, const DeleteToken& v) {
  return tick.catalogue.delete_token(v.token);
}
Result<model::Webhook> run(Tick& tick, const CreateWebhook& v) {
  return tick.webhooks.create(v.caller, v.webhook);
}
Result<model::Webhook> run(Tick& tick, const PatchWebhook& v) {
  return tick.webhooks.patch(v.caller, v.webhook, v.patch);
}
Result<bool> run(Tick& tick, const DeleteWebhook& v) {
  return tick.webhooks.remove(v.caller, v.webhook);
}
Result<std::int64_t> run(Tick& tick, const ReplayWebhook& v) {
  return tick.webhooks.replay(v.caller, v.webhook, v.what);
}
Result<bool> run(Tick& tick, const DeliveryNews& v) {
  return tick.webhooks.settle_deliveries(v);
}
Result<bool> run(Tick& tick, const StoreCursor& v) {
  return tick.webhooks.store_cursor(v.cursor);
}
Result<model::Host> run(Tick& tick, const RegisterHost& v) {
  return tick.hosts.join(v);
}
Result<model::JoinToken> run(Tick& tick, const Invite& v) {
  return tick.enrolments.make_token(v.token);
}
Result<bool> run(Tick& tick, const Uninvite& v) {
  return tick.enrolments.remove_token(v.token);
}
Result<bool> run(Tick& tick, const RenewHostSecret& v) {
  return tick.enrolments.renew(v);
}
Result<bool> run(Tick& tick, const HostSecretUsed& v) {
  return tick.enrolments.secret_used(v.enrolment, v.sha256);
}
Result<bool> run(Tick& tick, const RemoveEnrolment& v) {
  return tick.hosts.remove_enrolment(v.enrolment);
}
Result<HostInfo> run(Tick& tick, const SetHostMode& v) {
  return tick.hosts.set_mode(v.host, v.mode);
}
Result<model::Pool> run(Tick& tick, const PutPool& v) {
  return tick.scaling.put_pool(v.pool, v.version);
}
Result<std::optional<model::Pool>> run(Tick& tick, const DeletePool& v) {
  return tick.scaling.delete_pool(v.pool, v.version, v.drain);
}
Result<model::Pool> run(Tick& tick, const PausePool& v) {
  return tick.scaling.pause_pool(v.pool, v.version, v.paused);
}
Result<model::Pool> run(Tick& tick, const ScalePool& v) {
  return tick.scaling.scale_pool(v.pool, v.version, v.scale);
}
Result<ScalerLease> run(Tick& tick, const TakeScaler& v) {
  return tick.scaling.take(v.holder, v.epoch);
}
Result<Recorded> run(Tick& tick, const RecordScaling& v) {
  return tick.scaling.record(v);
}
Result<std::vector<HostInfo>> run(Tick& tick, const MoveHosts& v) {
  return tick.scaling.move_hosts(v);
}
Result<HostInfo> run(Tick& tick, const RetireHost& v) {
  return tick.scaling.retire(v.epoch, v.host);
}
Result<model::Token> run(Tick& tick, const CreateJoinToken& v) {
  return tick.scaling.create_join_token(v);
}
Result<ReportAnswer> run(Tick& tick, const ReportCall& v) {
  return tick.reporting.report(v);
}

// These begin an operation.
Result<Uuid> run(Tick& tick, const CancelWhere& v) {
  return tick.operations.start(v.caller, OperationKind::cancel_filter, v.filter, v.what);
}
Result<Uuid> run(Tick& tick, const RedriveWhere& v) {
  return tick.operations.start(v.caller, OperationKind::redrive_filter, v.filter, {});
}
Result<Uuid> run(Tick& tick, const DismissWhere& v) {
  return tick.operations.start(v.caller, OperationKind::dismiss_filter, v.filter, {});
}
Result<Uuid> run(Tick& tick, const DeleteBatch& v) {
  return tick.batches.remove(v.caller, v.batch);
}

struct ReplayDead {  // all dead letters of a webhook
  using Out = BulkDone;
  Caller caller;
  Uuid webhook;
};
Result<Uuid> run(Tick& tick, const ReplayDead& v) {
  return tick.webhooks.replay_dead(v.caller, v.webhook);
}

// ---- what it is known to read ---------------------------------------------------------------------------------------

template <class Verb>
void want(const State&, const Verb&, store::Wanted&) {}

void want(const State&, const Submit& v, store::Wanted& wanted) {
  if (!v.list_key.empty()) wanted.list_keys.push_back({scope_of_list(v.caller), v.list_key});
  for (const auto& job : v.jobs)
    if (!job.spec.key.empty()) wanted.keys.push_back({job.spec.tenant, job.spec.key});
}
void want(const State&, const PatchJob& v, store::Wanted& wanted) {
  wanted.jobs.push_back(v.job);
  wanted.scheduled.push_back(v.job);
}
void want(const State&, const CancelJob& v, store::Wanted& wanted) {
  wanted.jobs.push_back(v.job);
}
void want(const State&, const RedriveJob& v, store::Wanted& wanted) {
  wanted.jobs.push_back(v.job);
}
void want(const State&, const DismissJob& v, store::Wanted& wanted) {
  wanted.jobs.push_back(v.job);
}
void want(const State& state, const ReportCall& v, store::Wanted& wanted) {
  for (const auto& item : v.finished)
    if (const auto lease = state.leases.find(item.lease.seq());
        lease == state.leases.end() || lease->second.row.name != item.lease)
      wanted.ended_attempts.push_back(item.lease);
}
// Where the answer to it was lost, it has its leases already.
void want(const State& state, const FetchCall& v, store::Wanted& wanted) {
  const auto host = state.hosts.find(v.host);
  if (host == state.hosts.end()) return;
  for (const auto seq : host->second.leases)
    if (const auto& lease = state.leases.at(seq); lease.row.fetch_id == v.fetch_id)
      wanted.jobs.push_back(lease.row.job);
}

// Makes the store larger: refused while space is short.
template <class Verb>
constexpr bool kGrows =
    std::is_same_v<Verb, Submit> || std::is_same_v<Verb, RedriveJob> || std::is_same_v<Verb, CreateBatch> ||
    std::is_same_v<Verb, PutTenant> || std::is_same_v<Verb, PutPackage> || std::is_same_v<Verb, CreateToken> ||
    std::is_same_v<Verb, Invite> || std::is_same_v<Verb, ClaimBlob> || std::is_same_v<Verb, CreateWebhook> ||
    std::is_same_v<Verb, PutPool>;

// ---- when it is answered --------------------------------------------------------------------------------------------

// At the end of its tick.
template <class Verb>
class PlainCommand final : public Command {
 public:
  using Out = typename Verb::Out;
  PlainCommand(Verb verb, Answer<Out> answer) : verb_(std::move(verb)), answer_(std::move(answer)) {}
  void want(const State& state, store::Wanted& wanted) const override { engine::want(state, verb_, wanted); }
  void apply(Tick& tick) override { result_.emplace(run(tick, verb_)); }
  void settle(Tick&) override { answer_(std::move(*result_)); }
  void fail(const Error& error) override { answer_(error); }
  std::optional<Error> refusal() const override {
    return result_ && !*result_ ? std::optional(result_->error()) : std::nullopt;
  }
  bool grows() const override { return kGrows<Verb>; }
  std::size_t weight() const override {
    if constexpr (std::is_same_v<Verb, Submit>) return verb_.jobs.size();
    return 1;
  }

 private:
  Verb verb_;
  Answer<Out> answer_;
  std::optional<Result<Out>> result_;
};

// After its last slice.
template <class Verb>
class OperationCommand final : public Command {
 public:
  OperationCommand(Verb verb, Answer<BulkDone> answer) : verb_(std::move(verb)), answer_(std::move(answer)) {}
  void apply(Tick& tick) override { started_.emplace(run(tick, verb_)); }
  void settle(Tick& tick) override {
    if (!*started_) return answer_(started_->error());
    BulkWatch watch;
    if constexpr (requires { verb_.watch; }) watch = std::move(verb_.watch);
    if (watch) watch(**started_, 0);
    tick.round.desk.operations[**started_] = {std::move(answer_), {}, std::move(watch)};
  }
  void fail(const Error& error) override { answer_(error); }

 private:
  Verb verb_;
  Answer<BulkDone> answer_;
  std::optional<Result<Uuid>> started_;
};

// Parks its caller on the desk; the answer comes from a later tick.
class FetchCommand final : public Command {
 public:
  FetchCommand(FetchCall call, Answer<FetchAnswer> answer) : call_(std::move(call)), answer_(std::move(answer)) {}
  void want(const State& state, store::Wanted& wanted) const override { engine::want(state, call_, wanted); }
  void apply(Tick& tick) override {
    result_.emplace(tick.fetches.open(call_));
    if (!*result_ || **result_ || parked_) return;
    parked_ = true;
    if (auto older = tick.round.desk.close(call_.host)) {
      const bool repeated = older->call.fetch_id == call_.fetch_id;
      (repeated ? tick.round.out.repeated_fetches : tick.round.out.replaced_fetches).push_back(std::move(*older));
    }
    tick.round.desk.open({call_, std::move(answer_), call_.received_at + std::min(call_.wait, kFetchWaitMax)});
  }
  // Once it is parked the desk answers, also where a tick that is run again finds a newer fetch or no such host.
  void settle(Tick&) override {
    if (parked_) return;
    if (!*result_)
      answer_(result_->error());
    else if (**result_)
      answer_(std::move(***result_));
  }
  void fail(const Error& error) override {
    if (!parked_) answer_(error);
  }

 private:
  FetchCall call_;
  Answer<FetchAnswer> answer_;
  std::optional<Result<std::optional<FetchAnswer>>> result_;
  bool parked_ = false;
};

class AbandonCommand final : public Command {
 public:
  AbandonCommand(Uuid host, std::string fetch_id, Millis received_at)
      : host_(host), fetch_id_(std::move(fetch_id)), received_at_(received_at) {}
  void apply(Tick& tick) override {
    const auto open = tick.round.desk.fetches.find(host_);
    if (open == tick.round.desk.fetches.end()) return;
    const auto& call = open->second.call;
    if (call.fetch_id == fetch_id_ && call.received_at == received_at_) tick.round.desk.close(host_);
  }
  void settle(Tick&) override {}
  void fail(const Error&) override {}

 private:
  Uuid host_;
  std::string fetch_id_;
  Millis received_at_;
};

// Ends all that waits for an answer: hosts hear that the hub goes, and bulk work is stored and goes on in its next
// life.
class CloseDesk final : public Command {
 public:
  void apply(Tick& tick) override {
    auto& desk = tick.round.desk;
    while (!desk.fetches.empty())
      tick.round.out.replaced_fetches.push_back(std::move(*desk.close(desk.fetches.begin()->first)));
  }
  void settle(Tick& tick) override {
    for (auto& [id, waiter] : std::exchange(tick.round.desk.operations, {}))
      waiter.answer(
          geres::fail(Code::unavailable, "the hub is stopping; what it has begun it goes on with when it runs again"));
  }
  void fail(const Error&) override {}
};

template <class Verb>
std::unique_ptr<Command> command_of(Verb verb, Answer<typename Verb::Out> answer) {
  if constexpr (std::is_same_v<typename Verb::Out, BulkDone>)
    return std::make_unique<OperationCommand<Verb>>(std::move(verb), std::move(answer));
  else
    return std::make_unique<PlainCommand<Verb>>(std::move(verb), std::move(answer));
}

std::unique_ptr<Command> command_of(FetchCall call, Answer<FetchAnswer> answer) {
  return std::make_unique<FetchCommand>(std::move(call), std::move(answer));
}

std::unique_ptr<Command> command_of(ReplayWebhook verb, Answer<std::int64_t> answer) {
  if (verb.what.from || !verb.what.events.empty())
    return std::make_unique<PlainCommand<ReplayWebhook>>(std::move(verb), std::move(answer));
  return std::make_unique<OperationCommand<ReplayDead>>(
      ReplayDead{std::move(verb.caller), verb.webhook},
      [answer = std::move(answer)](Result<BulkDone> done) { done ? answer(done->count) : answer(done.error()); });
}

}  // namespace

// ---- the door -------------------------------------------------------------------------------------------------------

void Engine::post(std::unique_ptr<Command> command) {
  {
    const std::lock_guard lock(queue_mutex_);
    if (accepting_) {
      queue_.push_back(std::move(command));
      stats_.queue_length = std::int64_t(queue_.size());
      if (queue_.size() == 1) queue_filled_.notify_one();
      return;
    }
  }
  command->fail(stopping());
}

template <class Verb>
void Engine::ask(Verb verb, Answer<typename Verb::Out> answer) {
  post(command_of(std::move(verb), std::move(answer)));
}

template void Engine::ask(Submit, Answer<Submitted>);
template void Engine::ask(PatchJob, Answer<model::Job>);
template void Engine::ask(CancelJob, Answer<model::Job>);
template void Engine::ask(RedriveJob, Answer<model::Job>);
template void Engine::ask(DismissJob, Answer<model::Job>);
template void Engine::ask(CancelWhere, Answer<BulkDone>);
template void Engine::ask(RedriveWhere, Answer<BulkDone>);
template void Engine::ask(DismissWhere, Answer<BulkDone>);
template void Engine::ask(CreateBatch, Answer<model::Batch>);
template void Engine::ask(CloseBatch, Answer<model::Batch>);
template void Engine::ask(CancelBatch, Answer<model::Batch>);
template void Engine::ask(PauseBatch, Answer<model::Batch>);
template void Engine::ask(DeleteBatch, Answer<BulkDone>);
template void Engine::ask(PutTenant, Answer<model::Tenant>);
template void Engine::ask(PutPackage, Answer<KeptPackage>);
template void Engine::ask(DeletePackage, Answer<std::int64_t>);
template void Engine::ask(ClaimBlob, Answer<BlobClaim>);
template void Engine::ask(BlobArrived, Answer<bool>);
template void Engine::ask(SweepBlobs, Answer<BlobSweep>);
template void Engine::ask(BlobsRemoved, Answer<bool>);
template void Engine::ask(CreateToken, Answer<model::Token>);
template void Engine::ask(DeleteToken, Answer<bool>);
template void Engine::ask(CreateWebhook, Answer<model::Webhook>);
template void Engine::ask(PatchWebhook, Answer<model::Webhook>);
template void Engine::ask(DeleteWebhook, Answer<bool>);
template void Engine::ask(ReplayWebhook, Answer<std::int64_t>);
template void Engine::ask(DeliveryNews, Answer<bool>);
template void Engine::ask(StoreCursor, Answer<bool>);
template void Engine::ask(RegisterHost, Answer<model::Host>);
template void Engine::ask(Invite, Answer<model::JoinToken>);
template void Engine::ask(Uninvite, Answer<bool>);
template void Engine::ask(RenewHostSecret, Answer<bool>);
template void Engine::ask(HostSecretUsed, Answer<bool>);
template void Engine::ask(RemoveEnrolment, Answer<bool>);
template void Engine::ask(FetchCall, Answer<FetchAnswer>);
template void Engine::ask(ReportCall, Answer<ReportAnswer>);
template void Engine::ask(SetHostMode, Answer<HostInfo>);
template void Engine::ask(PutPool, Answer<model::Pool>);
template void Engine::ask(DeletePool, Answer<std::optional<model::Pool>>);
template void Engine::ask(PausePool, Answer<model::Pool>);
template void Engine::ask(ScalePool, Answer<model::Pool>);
template void Engine::ask(TakeScaler, Answer<ScalerLease>);
template void Engine::ask(RecordScaling, Answer<Recorded>);
template void Engine::ask(MoveHosts, Answer<std::vector<HostInfo>>);
template void Engine::ask(RetireHost, Answer<HostInfo>);
template void Engine::ask(CreateJoinToken, Answer<model::Token>);

void Engine::abandon_fetch(Uuid host, std::string fetch_id, Millis received_at) {
  post(std::make_unique<AbandonCommand>(host, std::move(fetch_id), received_at));
}

// ---- the end of the queue -------------------------------------------------------------------------------------------

void Engine::stop_accepting() {
  const std::lock_guard lock(queue_mutex_);
  if (!accepting_) return;
  accepting_ = false;
  queue_.push_back(std::make_unique<CloseDesk>());
  queue_filled_.notify_one();
}

void Engine::abort() {
  stop_accepting();
  std::deque<std::unique_ptr<Command>> queued;
  std::vector<Answer<SnapshotPtr>> readers;
  {
    const std::lock_guard lock(queue_mutex_);
    queued.swap(queue_);
    readers.swap(readers_);
  }
  for (auto& command : queued) command->fail(not_done());
  for (auto& reader : readers) reader(not_done());
  end_doubt();
  close_desk(stopping());
}

}  // namespace geres::hub::engine
