// SPDX-License-Identifier: Apache-2.0
// The kept board against the plain reading of the rules, over random fleets: every pass of these engines is held
// against schedule() over views made for it alone (Options::check_passes). Whoever forgets to touch what it changes
// shows here.
#include "hub/engine/engine_fixture.h"
#include "model/job.h"

namespace geres::hub::engine {
namespace {

class EngineBoard : public EngineTest, public testing::WithParamInterface<int> {
 protected:
  EngineBoard() : dice_(std::uint64_t(GetParam()) * 7'919 + 1) {}

  std::uint64_t draw(std::uint64_t n) { return dice_.next() % n; }
  bool percent(std::uint64_t p) { return draw(100) < p; }
  std::string tenant() { return "t" + std::to_string(draw(tenants_)); }

  template <class Verb>
  void post(Verb verb) {
    engine->ask(std::move(verb), [](auto) {});
  }

  void set_up() {
    options.lease = 2'500;
    restart();
    tenants_ = 1 + draw(6);
    for (std::uint64_t t = 0; t < tenants_; ++t) push("t" + std::to_string(t));
    const auto n = draw(6);
    for (std::uint64_t b = 0; b < n; ++b) {
      const std::string name = "b" + std::to_string(b);
      // A few of an operator (they rank over all tenants), of tenants, limited, dedicated.
      const auto owner = percent(40) ? "" : tenant();
      CreateBatch wanted{percent(50) ? admin() : caller(owner.empty() ? "t0" : owner), {owner, name}};
      if (!wanted.caller.operator_) wanted.batch.tenant = wanted.caller.tenants.front();
      wanted.batch.priority = 100 + std::int64_t(draw(3)) * 200;
      wanted.batch.dedicated = percent(30);
      wanted.batch.max_running = percent(40) ? int(1 + draw(3)) : 0;
      Slot<model::Batch> slot;
      engine->ask(wanted, slot.answer());
      engine->tick();
      batches_.push_back(slot.value());
    }
  }

  void submit_some() {
    Submit submit;
    submit.caller = admin();
    submit.list = true;
    const auto n = 1 + draw(4);
    for (std::uint64_t i = 0; i < n; ++i) {
      auto one = job(percent(70) ? "Work" : "Other", tenant());
      auto& spec = one.spec;
      if (!batches_.empty() && percent(60)) {
        const auto& batch = batches_[draw(batches_.size())];
        if (batch.tenant.empty() || batch.tenant == spec.tenant) one.batch = batch.id.str();
      }
      spec.priority = std::int64_t(draw(3));
      spec.requirements.slots = percent(70) ? 1 : int(1 + draw(4));
      if (percent(20)) spec.requirements.memory = std::int64_t(1 + draw(4)) << 30;
      if (percent(20)) spec.requirements.labels = {{"gpu", percent(70) ? "yes" : "no"}};
      spec.max_attempts = 3;
      submit.jobs.push_back(std::move(one));
    }
    post(std::move(submit));
  }

  void join_one() {
    RegisterHost wanted;
    wanted.host.name = "h" + std::to_string(joined_++);
    wanted.host.slots = int(1 + draw(5));
    if (percent(30)) wanted.host.memory = std::int64_t(2 + draw(4)) << 30;
    if (percent(30)) wanted.host.labels = {{"gpu", "yes"}};
    if (percent(20)) wanted.host.types = {{"Work"}};
    if (percent(20)) wanted.host.tenants = {{tenant()}};
    if (percent(40)) wanted.host.pool = "p" + std::to_string(draw(2)), wanted.host.instance = wanted.host.name;
    if (!hosts_.empty() && percent(10)) {
      const auto old = draw(hosts_.size());
      wanted.replaces = hosts_[old].id;
      hosts_.erase(hosts_.begin() + std::ptrdiff_t(old));
    }
    Slot<model::Host> slot;
    store->next_commit.reset();
    engine->ask(wanted, slot.answer());
    engine->tick();
    TestHost host;
    host.id = slot.value().id;
    host.name = wanted.host.name;
    hosts_.push_back(host);
  }

  // Its leases are whatever the engine has given it: what a host knows is not what is tested here.
  void ask_for_jobs(TestHost& host) {
    FetchCall call;
    call.host = host.id;
    call.fetch_id = host.name + "-" + std::to_string(++host.fetches);
    call.slots = int(draw(6));
    call.wait = percent(50) ? 0 : 3'000;
    call.received_at = clock.monotonic();
    post(call);
  }

  void report(TestHost& host) {
    const auto found = engine->state().hosts.find(host.id);
    if (found == engine->state().hosts.end()) return;
    ReportCall call;
    call.host = host.id;
    call.seq = ++host.seq;
    call.fetched = percent(70) ? found->second.fetch_id : "";
    for (const auto seq : found->second.leases) {
      const auto name = engine->state().leases.at(seq).row.name;
      if (percent(35)) {
        call.finished.push_back(end_of(name));
      } else if (percent(90)) {
        call.running.push_back(name);
        if (percent(60)) call.started.push_back(name);
      }
    }
    if (percent(3)) call.health = model::Health::unfit, call.health_reason = "disk";
    call.leaving = percent(3);
    post(call);
  }

  Completion end_of(Uuid lease) {
    const auto drawn = draw(10);
    if (drawn < 5) return completion(lease, model::Outcome::finished);
    if (drawn < 6) return completion(lease, model::Outcome::failed, 3);
    if (drawn < 7) return completion(lease, model::Outcome::lost);
    Completion item;
    item.lease = lease;
    item.outcome = model::Outcome::released;
    if (drawn < 9) item.given_back = GivenBack::not_started, item.reason = "no room";
    return item;
  }

  void settings() {
    TenantSettings wanted;
    if (percent(50)) wanted.weight = double(1 + draw(5));
    if (percent(50)) wanted.max_running = int(draw(4));
    post(PutTenant{tenant(), wanted});
  }

  // One that may shrink, or may not any more, or has gone.
  void change_pool() {
    model::Pool pool;
    pool.name = "p" + std::to_string(draw(2));
    pool.settings.limits.minimum = percent(30) ? pool.settings.limits.maximum : 0;
    pool.settings.acts = percent(90);
    if (percent(80)) return post(PutPool{pool, {}});
    post(DeletePool{pool.name, {}, percent(50)});
  }

  void step() {
    const auto drawn = draw(102);
    if (drawn >= 100) return change_pool();
    if (drawn < 30) return submit_some();
    if (drawn < 34) return join_one();
    if (drawn < 38) return settings();
    if (drawn < 42 && !batches_.empty())
      return post(PauseBatch{admin(), batches_[draw(batches_.size())].id.str(), percent(40)});
    if (drawn < 44) return cancel_any();
    if (drawn < 46) return patch_any();
    if (drawn < 47) store->next_commit = FaultyStore::CommitFault{store::Failure::refused};
    if (drawn < 49) return static_cast<void>(clock.advance(percent(20) ? 6'000 : Millis(draw(900))));
    if (hosts_.empty()) return;
    auto& host = hosts_[draw(hosts_.size())];
    if (drawn < 51)
      return post(SetHostMode{host.id.str(), percent(60) ? model::HostMode::run : model::HostMode::drain});
    if (drawn < 76) return ask_for_jobs(host);
    report(host);
  }

  Uuid any_job() {
    const auto& waiting = engine->state().waiting;
    if (waiting.empty()) return {};
    const auto* lane = waiting[draw(waiting.size())];
    if (!lane->head) return {};
    const auto jobs = store->jobs_by_seq(std::vector{lane->head->seq});
    return jobs.empty() ? Uuid{} : jobs.front().id;
  }
  void cancel_any() { post(CancelJob{admin(), any_job(), {}}); }
  void patch_any() {
    JobPatch patch;
    patch.priority = std::int64_t(draw(3));
    post(PatchJob{admin(), any_job(), patch});
  }

  SeededRandom dice_;
  std::uint64_t tenants_ = 1;
  int joined_ = 0;
  std::vector<model::Batch> batches_;
  std::vector<TestHost> hosts_;
};

TEST_P(EngineBoard, APassIsWhatThePlainReadingOfItsRulesMakes) {
  set_up();
  for (int i = 0; i < 400; ++i) {
    step();
    if (percent(70)) engine->tick();
    clock.advance(Millis(draw(30)));
    ASSERT_EQ(engine->stats().passes_wrong, 0) << "step " << i;
  }
  audit();
  EXPECT_GT(engine->stats().granted, 0);
}

INSTANTIATE_TEST_SUITE_P(Fleets, EngineBoard, testing::Range(0, 60));

}  // namespace
}  // namespace geres::hub::engine
