// SPDX-License-Identifier: Apache-2.0
// From a verb to a command on the queue. Most answer at the end of their tick; a fetch is parked on the desk, a bulk
// verb's answer comes after its last slice.
#include <algorithm>

#include "hub/engine/command.h"
#include "hub/engine/engine.h"
#include "hub/engine/tick.h"

namespace geres::hub::engine {

namespace {

Error stopping() {
  return fail(Code::unavailable, "the hub is stopping", {}, "try again in a moment");
}

// A host counts a lease from when it asked plus how long it was held. While it waits its clock and the hub's go apart,
// a percent at most, and a lease's margin (half a second, or 2 % of it) must outweigh that: so no longer than this.
constexpr Millis kFetchWaitMax = 30'000;

// Parks its caller on the desk; the answer comes from a later tick.
class FetchCommand final : public Command {
 public:
  FetchCommand(FetchCall call, Answer<FetchAnswer> answer) : call_(std::move(call)), answer_(std::move(answer)) {}
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

// Its answer comes after the last slice.
class OperationCommand final : public Command {
 public:
  using Verb = std::function<Result<Uuid>(Tick&)>;
  OperationCommand(Verb verb, Answer<BulkDone> answer) : verb_(std::move(verb)), answer_(std::move(answer)) {}
  void apply(Tick& tick) override { started_.emplace(verb_(tick)); }
  void settle(Tick& tick) override {
    if (*started_)
      tick.round.desk.operations[**started_] = {std::move(answer_), {}};
    else
      answer_(started_->error());
  }
  void fail(const Error& error) override { answer_(error); }

 private:
  Verb verb_;
  Answer<BulkDone> answer_;
  std::optional<Result<Uuid>> started_;
};

// Ends all that waits for an answer: hosts hear that the hub goes, and bulk work is stored and goes on in its next
// life.
class CloseDesk final : public Command {
 public:
  void apply(Tick& tick) override {
    auto& desk = tick.round.desk;
    while (!desk.fetches.empty()) tick.round.out.replaced_fetches.push_back(std::move(*desk.close(desk.fetches.begin()->first)));
  }
  void settle(Tick& tick) override {
    for (auto& [id, waiter] : std::exchange(tick.round.desk.operations, {}))
      waiter.answer(
          geres::fail(Code::unavailable, "the hub is stopping; what it has begun it goes on with when it runs again"));
  }
  void fail(const Error&) override {}
};

}  // namespace

// ---- the verbs ------------------------------------------------------------------------------------------------------

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

template <class Out, class F>
void Engine::call(F verb, Answer<Out> answer, bool grows, std::size_t weight) {
  post(std::make_unique<Call<Out>>(std::move(verb), std::move(answer), grows, weight));
}

void Engine::submit(Submit submit, Answer<Submitted> answer) {
  const auto weight = submit.jobs.size();
  call<Submitted>([submit = std::move(submit)](Tick& tick) { return tick.submitting.submit(submit); }, std::move(answer), true,
                  weight);
}
void Engine::patch_job(Caller caller, Uuid job, JobPatch patch, Answer<model::Job> answer) {
  call<model::Job>([=](Tick& tick) { return tick.jobs.patch_job(caller, job, patch); }, std::move(answer));
}
void Engine::cancel_job(Caller caller, Uuid job, CancelWhat what, Answer<model::Job> answer) {
  call<model::Job>([=](Tick& tick) { return tick.jobs.cancel_job(caller, job, what); }, std::move(answer));
}
void Engine::redrive_job(Caller caller, Uuid job, Answer<model::Job> answer) {
  call<model::Job>([=](Tick& tick) { return tick.jobs.redrive_job(caller, job); }, std::move(answer), true);
}
void Engine::cancel_where(Caller caller, store::JobFilter filter, CancelWhat what, Answer<BulkDone> answer) {
  post(std::make_unique<OperationCommand>(
      [=](Tick& tick) { return tick.operations.start(caller, store::OperationKind::cancel_filter, filter, what); },
      std::move(answer)));
}
void Engine::redrive_where(Caller caller, store::JobFilter filter, Answer<BulkDone> answer) {
  post(std::make_unique<OperationCommand>(
      [=](Tick& tick) { return tick.operations.start(caller, store::OperationKind::redrive_filter, filter, {}); },
      std::move(answer)));
}
void Engine::dismiss_job(Caller caller, Uuid job, Answer<model::Job> answer) {
  call<model::Job>([=](Tick& tick) { return tick.jobs.dismiss_job(caller, job); }, std::move(answer));
}
void Engine::dismiss_where(Caller caller, store::JobFilter filter, Answer<BulkDone> answer) {
  post(std::make_unique<OperationCommand>(
      [=](Tick& tick) { return tick.operations.start(caller, store::OperationKind::dismiss_filter, filter, {}); },
      std::move(answer)));
}
void Engine::create_batch(Caller caller, NewBatch batch, Answer<model::Batch> answer) {
  call<model::Batch>([=](Tick& tick) { return tick.batches.create(caller, batch); }, std::move(answer), true);
}
void Engine::close_batch(Caller caller, std::string batch, Answer<model::Batch> answer) {
  call<model::Batch>([=](Tick& tick) { return tick.batches.close(caller, batch); }, std::move(answer));
}
void Engine::cancel_batch(Caller caller, std::string batch, CancelWhat what, Answer<model::Batch> answer) {
  call<model::Batch>([=](Tick& tick) { return tick.batches.cancel(caller, batch, what); }, std::move(answer));
}
void Engine::pause_batch(Caller caller, std::string batch, bool paused, Answer<model::Batch> answer) {
  call<model::Batch>([=](Tick& tick) { return tick.batches.pause(caller, batch, paused); }, std::move(answer));
}
void Engine::delete_batch(Caller caller, std::string batch, Answer<BulkDone> answer) {
  post(std::make_unique<OperationCommand>([=](Tick& tick) { return tick.batches.remove(caller, batch); },
                                          std::move(answer)));
}
void Engine::put_tenant(std::string tenant, TenantSettings settings, Answer<model::Tenant> answer) {
  call<model::Tenant>([=](Tick& tick) { return tick.catalogue.put_tenant(tenant, settings); }, std::move(answer), true);
}
void Engine::put_package(model::PackageVersion package, Answer<KeptPackage> answer) {
  call<KeptPackage>([=](Tick& tick) { return tick.catalogue.put_package(package); }, std::move(answer), true);
}
void Engine::delete_package(std::string tenant, std::string name, std::string sha256, Answer<std::int64_t> answer) {
  call<std::int64_t>([=](Tick& tick) { return tick.catalogue.delete_package(tenant, name, sha256); }, std::move(answer));
}
void Engine::create_token(model::Token token, Answer<model::Token> answer) {
  call<model::Token>([=](Tick& tick) { return tick.catalogue.create_token(token); }, std::move(answer), true);
}
void Engine::delete_token(Uuid token, Answer<bool> answer) {
  call<bool>([=](Tick& tick) { return tick.catalogue.delete_token(token); }, std::move(answer));
}
void Engine::create_webhook(Caller caller, model::Webhook webhook, Answer<model::Webhook> answer) {
  call<model::Webhook>([=](Tick& tick) { return tick.webhooks.create(caller, webhook); }, std::move(answer), true);
}
void Engine::patch_webhook(Caller caller, Uuid webhook, WebhookPatch patch, Answer<model::Webhook> answer) {
  call<model::Webhook>([=](Tick& tick) { return tick.webhooks.patch(caller, webhook, patch); }, std::move(answer));
}
void Engine::delete_webhook(Caller caller, Uuid webhook, Answer<bool> answer) {
  call<bool>([=](Tick& tick) { return tick.webhooks.remove(caller, webhook); }, std::move(answer));
}
void Engine::replay_webhook(Caller caller, Uuid webhook, ReplayWhat what, Answer<std::int64_t> answer) {
  if (what.from || !what.events.empty())
    return call<std::int64_t>([=](Tick& tick) { return tick.webhooks.replay(caller, webhook, what); },
                              std::move(answer));
  post(std::make_unique<OperationCommand>(
      [=](Tick& tick) { return tick.webhooks.replay_dead(caller, webhook); },
      [answer = std::move(answer)](Result<BulkDone> done) { done ? answer(done->count) : answer(done.error()); }));
}
void Engine::settle_deliveries(DeliveryNews news, Answer<bool> answer) {
  call<bool>([news = std::move(news)](Tick& tick) { return tick.webhooks.settle_deliveries(news); }, std::move(answer));
}
void Engine::store_cursor(store::CursorRow cursor, Answer<bool> answer) {
  call<bool>([cursor = std::move(cursor)](Tick& tick) { return tick.webhooks.store_cursor(cursor); }, std::move(answer));
}
void Engine::register_host(RegisterHost host, Answer<model::Host> answer) {
  call<model::Host>([=](Tick& tick) { return tick.hosts.join(host); }, std::move(answer));
}
void Engine::fetch(FetchCall call, Answer<FetchAnswer> answer) {
  post(std::make_unique<FetchCommand>(std::move(call), std::move(answer)));
}
void Engine::abandon_fetch(Uuid host, std::string fetch_id, Millis received_at) {
  post(std::make_unique<AbandonCommand>(host, std::move(fetch_id), received_at));
}
void Engine::report(ReportCall call, Answer<ReportAnswer> answer) {
  this->call<ReportAnswer>([call = std::move(call)](Tick& tick) { return tick.reporting.report(call); }, std::move(answer));
}
void Engine::set_host_mode(std::string host, model::HostMode mode, Answer<HostInfo> answer) {
  call<HostInfo>([=](Tick& tick) { return tick.hosts.set_mode(host, mode); }, std::move(answer));
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
}

}  // namespace geres::hub::engine
