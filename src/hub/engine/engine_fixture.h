// SPDX-License-Identifier: Apache-2.0
// What the engine's tests stand on: the real engine on the real SQLite store, time by hand, and short words for what
// clients and hosts do. Nothing runs by itself: a verb is posted, tick() does it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "base/file.h"
#include "hub/engine/engine.h"
#include "hub/engine/faulty_store.h"
#include "hub/engine/snapshot.h"
#include "hub/engine/state.h"
#include "hub/engine/with_jobs.h"
#include "hub/store/sqlite/sqlite_store.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::engine {

// Where an answer goes.
template <class T>
struct Slot {
  std::optional<Result<T>> result;
  Answer<T> answer() {
    return [this](Result<T> r) {
      EXPECT_FALSE(result) << "answered twice";
      result.emplace(std::move(r));
    };
  }
  bool answered() const { return result.has_value(); }
  T& value() {
    if (!answered()) throw std::runtime_error("not answered");
    if (!*result) throw std::runtime_error("refused: " + result->error().message);
    return **result;
  }
  Code error() const { return result && !*result ? result->error().code : Code::internal; }
};

inline std::string words(const store::Audit& audit) {
  std::string text;
  for (const auto& v : audit.violations)
    text += "\n  " + v.rule + " (" + v.invariant + ") " + v.table + " " + v.row + ": " + v.sentence;
  return text;
}

class EngineTest : public testing::Test {
 protected:
  EngineTest() : directory_(memory_directory()) { open(); }
  ~EngineTest() override {
    engine.reset();
    store.reset();
    std::filesystem::remove_all(directory_);
  }

  // Whatever a test did: the store it leaves breaks no rule.
  void TearDown() override {
    if (!store) return;
    EXPECT_EQ(engine ? engine->stats().undone.load() : 0, 0) << "a refused command had changed something";
    EXPECT_EQ(engine ? engine->stats().passes_wrong.load() : 0, 0) << "a pass is not what its rules say";
    EXPECT_EQ(words(store->reads().audit(audit_options())), "");
  }
  store::AuditOptions audit_options() const {
    return {.now = clock.wall(), .keep_key_min = options.keep_key_min, .host_losses_max = options.host_losses_max};
  }

  // A new life of the hub on the same store.
  void restart() {
    engine.reset();
    store.reset();
    open();
  }

  void open() {
    store = std::make_unique<FaultyStore>(store::open_sqlite(store_file(), {}));
    engine = std::make_unique<Engine>(*store, clock, random, options);
    engine->on_events([this](const auto& rows) { events.insert(events.end(), rows.begin(), rows.end()); });
    engine->on_purged([this](const auto& ids) { purged.insert(purged.end(), ids.begin(), ids.end()); });
    tick();
  }

  void tick() {
    engine->tick();
    audit();
  }
  // Ticks until nothing is due at this moment.
  void settle() {
    do tick();
    while (engine->until_next() == 0);
  }
  // Lets time pass in steps short enough not to look like a pause of the engine.
  void pass(Millis time) {
    for (Millis left = time; left > 0; left -= 500) {
      clock.advance(std::min<Millis>(left, 500));
      settle();
    }
  }

  std::filesystem::path store_file() const { return directory_ / "geres.db"; }

  // What the engine counts must be what the store holds, after every tick.
  void audit() {
    std::map<store::LaneNo, std::int64_t> ready;
    auto image = store->load();
    std::size_t lanes_with_jobs = 0;
    for (const auto* lane : engine->state().waiting) EXPECT_GT(lane->ready, 0);
    for (const auto& lane : image.lanes) {
      const auto own = engine->state().lanes_by_no.find(lane.lane.no);
      ASSERT_TRUE(own != engine->state().lanes_by_no.end());
      EXPECT_EQ(own->second->ready, lane.ready);
      if (own->second->head) {
        EXPECT_EQ(own->second->head, lane.head);
      }
      if (lane.ready > 0) ++lanes_with_jobs;
    }
    EXPECT_EQ(engine->state().waiting.size(), lanes_with_jobs);
    EXPECT_EQ(image.leases.size(), engine->state().leases.size());
    std::map<std::string, std::int64_t> running;
    for (const auto& lease : image.leases) ++running[lease.job.spec.tenant];
    for (const auto& [name, tenant] : engine->state().tenants) EXPECT_EQ(tenant.running, running[name]) << name;
    for (const auto& row : image.counts)
      EXPECT_EQ(engine->state().batches.at(row.batch).counts[row.tenant], row.counts);
    EXPECT_EQ(image.last_event, engine->state().last_event);
  }

  // ---- clients
  static Caller caller(const std::string& tenant = "acme") { return {"tester", false, false, {tenant}}; }
  static Caller admin() { return {"admin", true, true, {}}; }
  static NewJob job(const std::string& type = "Work", const std::string& tenant = "acme") {
    NewJob job;
    job.spec.tenant = tenant;
    job.spec.type = type;
    job.spec.package = "tools";
    return job;
  }
  // Posted, and answered by a tick to come.
  void ask_submit(Slot<Submitted>& slot, NewJob what = job()) {
    Submit submit;
    submit.caller = admin();
    submit.jobs = {std::move(what)};
    engine->ask(std::move(submit), slot.answer());
  }
  void push(const std::string& tenant = "acme", std::vector<std::string> types = {"Work", "Other"}) {
    model::PackageVersion package;
    package.tenant = tenant;
    package.name = "tools";
    package.sha256 = std::string(64, 'a' + char(pushes_++ % 6));
    package.types = std::move(types);
    Slot<KeptPackage> slot;
    engine->ask(PutPackage{package}, slot.answer());
    tick();
    slot.value();
  }
  std::vector<Uuid> submit_all(std::vector<NewJob> jobs, const Caller& who = admin()) {
    Slot<Submitted> slot;
    Submit submit;
    submit.caller = who;
    submit.list = true;
    submit.jobs = std::move(jobs);
    engine->ask(std::move(submit), slot.answer());
    tick();
    return slot.value().ids;
  }
  Uuid submit(NewJob one) { return submit_all({std::move(one)}).front(); }
  Code submit_error(NewJob one) {
    Slot<Submitted> slot;
    Submit submit;
    submit.caller = admin();
    submit.jobs = {std::move(one)};
    engine->ask(std::move(submit), slot.answer());
    tick();
    return slot.error();
  }
  model::Job cancel(Uuid id, CancelWhat what = {}) {
    Slot<model::Job> slot;
    engine->ask(CancelJob{admin(), id, what}, slot.answer());
    tick();
    return slot.value();
  }
  model::Batch batch(const std::string& name, std::int64_t priority = 500, const std::string& tenant = "acme",
                     int max_running = 0, bool dedicated = false) {
    Slot<model::Batch> slot;
    engine->ask(CreateBatch{admin(), {tenant, name, priority, dedicated, max_running}}, slot.answer());
    tick();
    return slot.value();
  }
  SnapshotPtr snapshot() {
    Slot<SnapshotPtr> slot;
    engine->snapshot(slot.answer());
    while (!slot.answered()) tick();
    return slot.value();
  }
  WhyAnswer why(Uuid id) {
    tick();
    const auto fleet = snapshot();
    return engine::why(get(id), fleet.get(), store->reads(), clock.wall()).value();
  }
  model::Job get(Uuid id) { return store->reads().job(id).value(); }
  model::JobState state_of(Uuid id) { return get(id).status.state; }
  std::vector<std::string> history(Uuid id) {
    std::vector<std::string> names;
    for (const auto& event : store->reads().job_events(id, 0, 1000))
      names.push_back(std::string(store::event_name(event.type)).substr(10));
    return names;
  }

  // ---- hosts
  struct TestHost {
    Uuid id;
    std::string name;
    std::int64_t seq = 0;
    int fetches = 0;
    std::string fetched;
    std::vector<Uuid> running;
  };
  TestHost join(const std::string& name, int slots = 4, std::map<std::string, std::string> labels = {},
                std::optional<Uuid> replaces = {}) {
    RegisterHost wanted;
    wanted.host.name = name;
    wanted.host.slots = slots;
    wanted.host.labels = std::move(labels);
    wanted.replaces = replaces;
    Slot<model::Host> slot;
    engine->ask(wanted, slot.answer());
    tick();
    TestHost host;
    host.id = slot.value().id;
    host.name = name;
    return host;
  }
  // Opens a fetch; the slot is answered by this or a later tick.
  void open_fetch(TestHost& host, int slots, Slot<FetchAnswer>& slot, Millis wait = 20'000) {
    FetchCall call;
    call.host = host.id;
    call.fetch_id = host.name + "-" + std::to_string(++host.fetches);
    call.slots = slots;
    call.wait = wait;
    call.received_at = clock.monotonic();
    engine->ask(call, slot.answer());
  }
  void heard(TestHost& host, const FetchAnswer& answer) {
    host.fetched = host.name + "-" + std::to_string(host.fetches);
    for (const auto& granted : answer.leases) host.running.push_back(granted.lease.name);
  }
  // A fetch that does not wait: what is there for this host now.
  FetchAnswer fetch(TestHost& host, int slots = 1) {
    Slot<FetchAnswer> slot;
    open_fetch(host, slots, slot, 0);
    tick();
    auto answer = slot.value();
    heard(host, answer);
    return answer;
  }
  ReportAnswer send(TestHost& host, ReportCall call) {
    call.host = host.id;
    call.seq = ++host.seq;
    call.fetched = host.fetched;
    call.running = host.running;
    for (const auto& item : call.finished) std::erase(call.running, item.lease);
    Slot<ReportAnswer> slot;
    engine->ask(call, slot.answer());
    tick();
    for (const auto name : slot.value().accepted) std::erase(host.running, name);
    return slot.value();
  }
  ReportAnswer beat(TestHost& host) { return send(host, {}); }
  ReportAnswer start(TestHost& host, Uuid lease) {
    ReportCall call;
    call.started = {lease};
    return send(host, call);
  }
  static Completion completion(Uuid lease, model::Outcome outcome, int code = 0) {
    Completion item;
    item.lease = lease;
    item.outcome = outcome;
    item.exit = model::Exit{code, std::nullopt};
    if (outcome == model::Outcome::failed) item.error = "exit " + std::to_string(code);
    return item;
  }
  ReportAnswer finish(TestHost& host, Uuid lease, model::Outcome outcome = model::Outcome::finished, int code = 0) {
    ReportCall call;
    call.finished = {completion(lease, outcome, code)};
    return send(host, call);
  }

  ManualClock clock;
  SeededRandom random{42};
  Options options{.check_passes = true};
  std::unique_ptr<FaultyStore> store;
  std::unique_ptr<Engine> engine;
  std::vector<store::EventRow> events;
  std::vector<Uuid> purged;

 private:
  static std::filesystem::path memory_directory() {
    const std::filesystem::path shm = "/dev/shm";
    const auto base = std::filesystem::is_directory(shm) ? shm : std::filesystem::temp_directory_path();
    const auto path = base / ("geres-engine-" + random_hex(6));
    std::filesystem::create_directories(path);
    return path;
  }
  std::filesystem::path directory_;
  int pushes_ = 0;
};

}  // namespace geres::hub::engine
