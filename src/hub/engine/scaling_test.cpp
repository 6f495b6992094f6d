// SPDX-License-Identifier: Apache-2.0
// A fleet that sizes itself, as the engine guards it: one scaler at a time, intents before acts, and no machine taken
// from a job.
#include "hub/engine/engine_fixture.h"

namespace geres::hub::engine {
namespace {

using model::HostMode;
using model::IntentState;
using model::MachineState;
using model::ModeBy;
using model::ScalerVerb;

class EngineScaling : public EngineTest {
 protected:
  EngineScaling() {
    push();
    pool("cpu");
    epoch = take("s").value().epoch;
  }

  template <class Verb>
  Slot<typename Verb::Out> ask(Verb verb) {
    Slot<typename Verb::Out> slot;
    engine->ask(std::move(verb), slot.answer());
    tick();
    EXPECT_TRUE(slot.answered());
    return slot;
  }

  static model::Pool pool_named(const std::string& name) {
    model::Pool pool;
    pool.name = name;
    pool.settings.provider.name = "local";
    pool.settings.policy.name = "messageCount";
    return pool;
  }
  model::Pool pool(const std::string& name) { return ask(PutPool{pool_named(name), {}}).value(); }
  Slot<ScalerLease> take(const std::string& holder, std::optional<std::int64_t> of = {}) {
    return ask(TakeScaler{holder, of});
  }

  TestHost join_machine(const std::string& name, const std::string& instance, const std::string& pool = "cpu",
                        std::optional<Uuid> replaces = {}) {
    RegisterHost wanted;
    wanted.host.name = name;
    wanted.host.slots = 2;
    wanted.host.pool = pool;
    wanted.host.instance = instance;
    wanted.replaces = replaces;
    auto slot = ask(wanted);
    return {slot.value().id, name};
  }
  std::optional<store::MachineRow> machine(const std::string& instance) {
    const auto rows = store->reads().machines("cpu", true, {"cpu", ""}, 100);
    for (const auto& row : rows)
      if (row.instance == instance) return row;
    return std::nullopt;
  }
  MachineState state_of_machine(const std::string& instance) { return machine(instance).value().state; }
  model::Host row_of(const TestHost& host) { return store->reads().host(host.id).value(); }

  Slot<Recorded> record(std::vector<store::IntentRow> intents, std::vector<store::MachineRow> machines = {},
                        std::optional<store::DecisionRow> decision = {}) {
    return ask(RecordScaling{epoch, "cpu", std::move(intents), std::move(machines), std::move(decision)});
  }
  static store::IntentRow remove(const std::string& request, std::vector<std::string> instances,
                                 IntentState state = IntentState::issued) {
    return {request, "", ScalerVerb::remove, 0, std::move(instances), state, "", 0};
  }
  static store::IntentRow order(const std::string& request, std::int64_t count,
                                IntentState state = IntentState::issued) {
    return {request, "", ScalerVerb::order, count, {}, state, "", 0};
  }
  static store::MachineRow told(const std::string& instance, MachineState state, const std::string& request = "") {
    return {"", instance, state, request, "", 0, {}, {}, ""};
  }
  Slot<std::vector<HostInfo>> move(const TestHost& host, HostMode mode) {
    return ask(MoveHosts{epoch, {host.id}, mode, "idle"});
  }
  Slot<HostInfo> retire(const TestHost& host) { return ask(RetireHost{epoch, host.id}); }
  Slot<HostInfo> set_mode(const TestHost& host, HostMode mode) { return ask(SetHostMode{host.id.str(), mode}); }

  std::int64_t epoch = 0;
};

// ---- who scales

TEST_F(EngineScaling, OneScalerHoldsTheLeaseAndRenewsIt) {
  EXPECT_EQ(epoch, 1);
  EXPECT_EQ(take("other").error(), Code::scalerHeld);
  for (int i = 0; i < 5; ++i) {
    pass(20'000);
    EXPECT_EQ(take("s", 1).value().epoch, 1);
  }
  EXPECT_EQ(take("other").error(), Code::scalerHeld);
  EXPECT_EQ(take("other", 1).error(), Code::staleScaler) << "an epoch is its holder's";
  EXPECT_EQ(take("s").value().epoch, 2) << "its own, whose answer was lost";
  EXPECT_EQ(take("s", 1).error(), Code::staleScaler);
}

TEST_F(EngineScaling, ALeaseThatIsNotRenewedGoesToTheNext) {
  pass(31'000);
  EXPECT_EQ(take("other").value().epoch, 2);
  EXPECT_EQ(take("s", 1).error(), Code::staleScaler);
  EXPECT_EQ(record({}).error(), Code::staleScaler);
  const auto host = join_machine("h", "m");
  EXPECT_EQ(move(host, HostMode::drain).error(), Code::staleScaler);
  EXPECT_EQ(retire(host).error(), Code::staleScaler);
  EXPECT_EQ(ask(CreateJoinToken{epoch, "cpu", {}}).error(), Code::staleScaler);
}

TEST_F(EngineScaling, AfterARestartItHasItsFullTimeAgain) {
  pass(25'000);
  restart();
  pass(20'000);
  EXPECT_EQ(take("other").error(), Code::scalerHeld);
  EXPECT_EQ(take("s", 1).value().epoch, 1);
  restart();
  pass(31'000);
  EXPECT_EQ(take("other").value().epoch, 2);
}

// ---- pools

TEST_F(EngineScaling, APoolHasVersions) {
  EXPECT_EQ(pool("cpu").version, 2);
  auto changed = pool_named("cpu");
  changed.settings.limits.maximum = 7;
  EXPECT_EQ(ask(PutPool{changed, 1}).error(), Code::conflict);
  EXPECT_EQ(ask(PutPool{changed, 2}).value().version, 3);
  EXPECT_EQ(ask(PutPool{pool_named("gpu"), 1}).error(), Code::notFound);
  EXPECT_TRUE(ask(PausePool{"cpu", 3, true}).value().paused);
  EXPECT_EQ(ask(PausePool{"cpu", {}, true}).value().version, 4) << "nothing has changed";
  EXPECT_EQ(ask(ScalePool{"cpu", {}, model::Pool::Scale{8, 9}}).error(), Code::badValue);
  EXPECT_EQ(ask(ScalePool{"cpu", {}, model::Pool::Scale{7, 9}}).value().scale->wanted, 7);
  restart();
  const auto row = store->reads().pool("cpu").value();
  EXPECT_EQ(row.version, 5);
  EXPECT_TRUE(row.paused);
  EXPECT_EQ(row.scale->until, 9);
  EXPECT_FALSE(ask(ScalePool{"cpu", {}, {}}).value().scale);
}

TEST_F(EngineScaling, APoolWithMachinesGoesWithTheLastOfThem) {
  record({order("r", 1)});
  EXPECT_EQ(ask(DeletePool{"cpu", {}, false}).error(), Code::conflict) << "what is on order may come yet";
  record({order("r", 1, IntentState::done)}, {told("m", MachineState::booting, "r")});
  EXPECT_EQ(ask(DeletePool{"cpu", {}, false}).error(), Code::conflict);
  const auto leaving = ask(DeletePool{"cpu", {}, true}).value().value();
  EXPECT_TRUE(leaving.removing);
  EXPECT_EQ(leaving.scale->wanted, 0);
  record({remove("x", {"m"})});
  restart();
  record({remove("x", {"m"}, IntentState::done)}, {told("m", MachineState::gone)});
  EXPECT_FALSE(store->reads().pool("cpu"));
  EXPECT_EQ(record({}).error(), Code::notFound);
  pool("gpu");
  EXPECT_EQ(ask(DeletePool{"gpu", 2, false}).error(), Code::conflict);
  EXPECT_FALSE(ask(DeletePool{"gpu", 1, false}).value());
}

// ---- machines

TEST_F(EngineScaling, AMachineIsReadyWhenItsHostJoins) {
  record({order("r", 2)}, {told("m-1", MachineState::ordered, "r"), told("m-2", MachineState::booting, "r")});
  EXPECT_EQ(state_of_machine("m-1"), MachineState::ordered);
  record({}, {told("m-1", MachineState::booting)});
  EXPECT_EQ(state_of_machine("m-1"), MachineState::booting);
  const auto host = join_machine("h", "m-1");
  EXPECT_EQ(state_of_machine("m-1"), MachineState::ready);
  EXPECT_TRUE(machine("m-1")->ready_at);
  record({}, {told("m-1", MachineState::ordered, "r")});
  EXPECT_EQ(state_of_machine("m-1"), MachineState::ready) << "an old message";
  join_machine("early", "m-3");
  EXPECT_EQ(state_of_machine("m-3"), MachineState::ready) << "its order was not answered yet";
  record({}, {told("m-3", MachineState::booting, "r")});
  EXPECT_EQ(machine("m-3")->request, "r");
  EXPECT_EQ(row_of(host).instance, "m-1");
}

TEST_F(EngineScaling, HostsThatWereThereBeforeTheirPoolAreItsMachines) {
  join_machine("h", "m", "late");
  EXPECT_TRUE(store->reads().machines("late", true, {}, 10).empty());
  pool("late");
  EXPECT_EQ(store->reads().machines("late", true, {}, 10).at(0).state, MachineState::ready);
}

TEST_F(EngineScaling, AMachineIsNotGoneWhileItsHostIsThere) {
  auto host = join_machine("h", "m");
  EXPECT_EQ(record({}, {told("m", MachineState::gone)}).value().withheld, std::vector<std::string>{"m"});
  EXPECT_EQ(state_of_machine("m"), MachineState::ready);
  submit(job());
  fetch(host);
  pass(options.host_lost_after + 2'000);
  // Its lease has run out as well.
  EXPECT_TRUE(record({}, {told("m", MachineState::gone)}).value().withheld.empty());
  EXPECT_EQ(state_of_machine("m"), MachineState::gone);
  EXPECT_EQ(row_of(host).mode, HostMode::stop) << "should it come back";
  EXPECT_TRUE(fetch(host).leases.empty());
}

// ---- drain, retire, remove

TEST_F(EngineScaling, WhatTheScalerDrainsGetsNothingAndMayBeResumed) {
  auto host = join_machine("h", "m");
  submit(job());
  const auto info = move(host, HostMode::drain).value().at(0);
  EXPECT_EQ(std::tie(info.host.mode, info.host.mode_by, info.host.mode_reason),
            std::tuple(HostMode::drain, ModeBy::scaler, "idle"));
  EXPECT_TRUE(fetch(host).leases.empty());
  restart();
  EXPECT_EQ(row_of(host).mode_by, ModeBy::scaler);
  EXPECT_TRUE(fetch(host).leases.empty());
  EXPECT_EQ(move(host, HostMode::run).value().at(0).host.mode, HostMode::run);
  EXPECT_EQ(fetch(host).leases.size(), 1u);
}

TEST_F(EngineScaling, WhatAnOperatorDrainsIsNotTheScalers) {
  auto host = join_machine("h", "m");
  set_mode(host, HostMode::drain);
  EXPECT_EQ(move(host, HostMode::run).value().at(0).host.mode, HostMode::drain);
  EXPECT_EQ(retire(host).error(), Code::hostBusy);
  EXPECT_EQ(move(host, HostMode::drain).value().at(0).host.mode_by, ModeBy::operator_);
  set_mode(host, HostMode::run);
  move(host, HostMode::drain);
  set_mode(host, HostMode::drain);
  EXPECT_EQ(row_of(host).mode_by, ModeBy::operator_) << "the operator takes it over";
  EXPECT_EQ(move(host, HostMode::run).value().at(0).host.mode, HostMode::drain);
}

TEST_F(EngineScaling, AHostThatIsNobodysMachineIsNotTouched) {
  const auto host = join("own");
  EXPECT_EQ(move(host, HostMode::drain).error(), Code::conflict);
  EXPECT_EQ(retire(host).error(), Code::hostBusy);
  EXPECT_TRUE(ask(MoveHosts{epoch, {Uuid{1, 2}}, HostMode::drain, ""}).value().empty());
  EXPECT_EQ(retire({Uuid{1, 2}, "gone"}).error(), Code::notFound);
}

TEST_F(EngineScaling, AHostIsRetiredOnceItDrainsAndRunsNothing) {
  auto host = join_machine("h", "m");
  submit(job());
  const auto lease = fetch(host).leases.at(0).lease.name;
  EXPECT_EQ(retire(host).error(), Code::hostBusy) << "it does not drain";
  move(host, HostMode::drain);
  EXPECT_EQ(retire(host).error(), Code::hostBusy) << "it runs a job";
  EXPECT_EQ(record({remove("x", {"m"})}).error(), Code::hostBusy);
  finish(host, lease);
  EXPECT_EQ(record({remove("x", {"m"})}).error(), Code::hostBusy) << "it is not retired yet";
  EXPECT_EQ(retire(host).value().host.mode, HostMode::stop);
  EXPECT_EQ(retire(host).value().host.mode, HostMode::stop) << "asked twice";
  EXPECT_EQ(state_of_machine("m"), MachineState::retiring);
  EXPECT_EQ(set_mode(host, HostMode::run).error(), Code::conflict);
  EXPECT_EQ(move(host, HostMode::run).value().at(0).host.mode, HostMode::stop);
  submit(job());
  EXPECT_EQ(fetch(host).mode, HostMode::stop);
  EXPECT_TRUE(record({remove("x", {"m"})}).result->has_value());
}

TEST_F(EngineScaling, WhoJoinsOnAMachineThatIsBeingRemovedStops) {
  auto host = join_machine("h", "m");
  move(host, HostMode::drain);
  retire(host);
  submit(job());
  auto again = join_machine("again", "m");
  EXPECT_EQ(row_of(again).mode, HostMode::stop);
  EXPECT_TRUE(fetch(again).leases.empty());
  record({remove("x", {"m", "never-seen"})});
  record({remove("x", {"m", "never-seen"}, IntentState::done)}, {told("m", MachineState::gone)});
  restart();
  auto late = join_machine("late", "m");
  EXPECT_EQ(row_of(late).mode, HostMode::stop);
  EXPECT_EQ(fetch(late).mode, HostMode::stop);
  auto unknown = join_machine("unknown", "never-seen");
  EXPECT_EQ(row_of(unknown).mode, HostMode::stop) << "ordered by an order of which nobody knows";
  EXPECT_EQ(fetch(unknown).mode, HostMode::stop);
  auto other = join_machine("other", "m-2");
  EXPECT_EQ(fetch(other).leases.size(), 1u);
}

TEST_F(EngineScaling, AHostThatAnOperatorStoppedIsStoppedForGoodWithItsMachine) {
  auto host = join_machine("h", "m");
  set_mode(host, HostMode::stop).value();
  set_mode(host, HostMode::run).value();
  set_mode(host, HostMode::stop).value();
  record({remove("r1", {"m"})}).value();
  EXPECT_EQ(set_mode(host, HostMode::run).error(), Code::conflict) << "its machine may go at any moment";
  submit(job());
  EXPECT_TRUE(fetch(host).leases.empty());
}

TEST_F(EngineScaling, AMachineIsRetiredWithTheLastOfItsHosts) {
  auto one = join_machine("one", "m"), two = join_machine("two", "m");
  move(one, HostMode::drain);
  retire(one);
  EXPECT_EQ(state_of_machine("m"), MachineState::ready);
  EXPECT_EQ(record({remove("x", {"m"})}).error(), Code::hostBusy);
  move(two, HostMode::drain);
  retire(two);
  EXPECT_EQ(state_of_machine("m"), MachineState::retiring);
}

// A host that is lost may come back with its jobs; whoever takes its name would make the hub forget that.
TEST_F(EngineScaling, AMachineIsNotForgottenWhileALeaseIsCurrentOnIt) {
  auto host = join_machine("h", "m");
  auto long_lease = job();
  long_lease.spec.lease = 600'000;
  submit(long_lease);
  EXPECT_EQ(fetch(host).leases.size(), 1u);
  pass(options.host_lost_after + 2'000);
  RegisterHost same;
  same.host.name = "h";
  same.host.pool = "cpu";
  same.host.instance = "m-2";
  EXPECT_EQ(ask(same).error(), Code::hostAlive);
  EXPECT_EQ(record({remove("x", {"m"})}).error(), Code::hostBusy);
  EXPECT_EQ(record({}, {told("m", MachineState::gone)}).value().withheld.size(), 1u);
  const auto again = join_machine("h", "m", "cpu", host.id);
  EXPECT_NE(again.id, host.id);
}

TEST_F(EngineScaling, AWholeRecordIsRefusedTogether) {
  join_machine("h", "m-1");
  const auto refused = record({order("r", 1), remove("x", {"m-2", "m-1"})}, {told("m-3", MachineState::ordered, "r")});
  EXPECT_EQ(refused.result->error().code, Code::hostBusy);
  EXPECT_EQ(refused.result->error().field, "/intents/1");
  EXPECT_TRUE(store->reads().open_intents("cpu").empty());
  EXPECT_FALSE(machine("m-2"));
  EXPECT_FALSE(machine("m-3"));
}

TEST_F(EngineScaling, AnOldMessageBringsNothingBack) {
  record({order("r", 1)});
  record({order("r", 1, IntentState::done)}, {told("m", MachineState::booting, "r")});
  record({order("r", 1)});
  EXPECT_TRUE(store->reads().open_intents("cpu").empty());
  record({remove("x", {"m"})});
  record({}, {told("m", MachineState::booting, "r")});
  EXPECT_EQ(state_of_machine("m"), MachineState::retiring);
  record({remove("x", {"m"}, IntentState::done)}, {told("m", MachineState::gone)});
  record({remove("x", {"m"})}, {told("m", MachineState::booting, "r")});
  EXPECT_EQ(state_of_machine("m"), MachineState::gone);
  EXPECT_EQ(record({order("x", 1)}).error(), Code::conflict) << "another request of that name";
  record({order("r-2", 1, IntentState::done)}, {told("m", MachineState::booting, "r-2")});
  EXPECT_EQ(state_of_machine("m"), MachineState::booting) << "ordered anew";
}

TEST_F(EngineScaling, AMachineSleepsAndWakes) {
  auto host = join_machine("h", "m");
  store::IntentRow sleep{"z", "", ScalerVerb::sleep, 0, {"m"}, IntentState::issued, "", 0};
  EXPECT_EQ(record({sleep}).error(), Code::hostBusy);
  EXPECT_TRUE(record({}, {told("m", MachineState::asleep)}).result->has_value());
  EXPECT_EQ(state_of_machine("m"), MachineState::ready);
  move(host, HostMode::drain);
  retire(host);
  record({sleep});
  sleep.state = IntentState::done;
  record({sleep}, {told("m", MachineState::asleep)});
  EXPECT_EQ(state_of_machine("m"), MachineState::asleep);
  record({{"w", "", ScalerVerb::wake, 0, {"m"}, IntentState::issued, "", 0}});
  EXPECT_EQ(state_of_machine("m"), MachineState::booting);
  auto again = join_machine("again", "m");
  EXPECT_EQ(state_of_machine("m"), MachineState::ready);
  submit(job());
  EXPECT_EQ(fetch(again).leases.size(), 1u);
}

// ---- decisions

TEST_F(EngineScaling, EqualDecisionsToDoNothingAreOneRow) {
  const auto decide = [&](const std::string& input, std::int64_t wanted, const std::string& changes) {
    return record({}, {}, store::DecisionRow{0, "", 0, 0, 1, input, "fixed", wanted, wanted, 1, changes, "why", ""})
        .value()
        .decision;
  };
  EXPECT_EQ(decide(R"({"n":1})", 1, ""), 1);
  const auto first = clock.wall();
  pass(15'000);
  EXPECT_EQ(decide(R"({"n":2})", 1, ""), 1);
  EXPECT_EQ(decide("{}", 2, ""), 2);
  EXPECT_EQ(decide("{}", 2, R"({"order":1})"), 3);
  EXPECT_EQ(decide("{}", 2, R"({"order":1})"), 4);
  restart();
  EXPECT_EQ(decide("{}", 2, ""), 5);
  const auto rows = store->reads().decisions({}, 0, 10);
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(std::tie(rows[4].times, rows[4].at, rows[4].last_at, rows[4].input),
            std::tuple(2, first, first + 15'000, R"({"n":2})"));
}

TEST_F(EngineScaling, WhatWasDecidedLongAgoIsForgotten) {
  record({order("r", 1, IntentState::done)}, {told("m", MachineState::gone, "r")},
         store::DecisionRow{0, "", 0, 0, 1, "{}", "fixed", 0, 0, 0, R"({"order":1})", "", ""});
  record({}, {}, store::DecisionRow{0, "", 0, 0, 1, "{}", "fixed", 1, 0, 0, "", "", ""});
  clock.advance(options.keep_decisions + 1'000);
  pass(2 * options.sweep_pause);
  EXPECT_FALSE(machine("m"));
  EXPECT_EQ(store->reads().decisions({}, 0, 10).size(), 1u);
}

// ---- what it says

TEST_F(EngineScaling, ChangesAndTheBeginAndEndOfTroubleAreEvents) {
  const auto decide = [&](const std::string& outcome, const std::string& changes = "") {
    store::DecisionRow decision;
    decision.input = "{}";
    decision.wanted = 3;
    decision.actual = 1;
    decision.outcome = outcome;
    decision.changes = changes;
    events.clear();
    record({}, {}, decision).value();
    std::vector<store::EventType> told;
    for (const auto& event : events)
      if (store::about_pool(event.type)) told.push_back(event.type);
    return told;
  };
  using enum store::EventType;
  using Types = std::vector<store::EventType>;
  EXPECT_EQ(decide("ok"), Types());
  EXPECT_EQ(decide("ok", R"({"order":2})"), Types{scaler_decided});
  EXPECT_EQ(std::get<store::ScalerEvent>(events.back().data), (store::ScalerEvent{"cpu", 3, 1, "", "ok"}));
  EXPECT_EQ(store::subject_of(events.back()), "cpu");
  EXPECT_EQ(decide("providerHeld"), Types{scaler_failed});
  EXPECT_EQ(decide("providerHeld"), Types()) << "once";
  restart();
  EXPECT_EQ(decide("providerHeld"), Types()) << "also over a restart";
  EXPECT_EQ(decide("ok"), Types{scaler_recovered});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(decide("policyFailed"), Types()) << i;
  restart();
  EXPECT_EQ(decide("policyFailed"), Types{scaler_failed}) << "the fifth in a row";
  EXPECT_EQ(decide("observed"), Types{scaler_recovered});
}

TEST_F(EngineScaling, FiguresOfThePool) {
  record({order("r", 2)}, {told("m1", MachineState::ordered, "r")});
  pass(30'000);
  join_machine("h1", "m1");
  auto refused = order("r2", 1, IntentState::refused);
  refused.refusal = R"({"why":"quota","text":"no"})";
  record({refused});
  record({refused});
  store::DecisionRow decision;
  decision.input = "{}";
  decision.outcome = "ok";
  decision.wanted = 4;
  record({}, {}, decision);
  int pools = 0;
  engine->stats().scaler.each_pool([&](const std::string& pool, const ScalerFigures::OfPool& of) {
    ++pools;
    EXPECT_EQ(pool, "cpu");
    EXPECT_EQ(of.wanted, 4);
    EXPECT_EQ(of.decisions, (std::map<std::string, std::int64_t>{{"ok", 1}}));
    EXPECT_EQ(of.failures, (std::map<std::string, std::int64_t>{{"quota", 1}}));
    EXPECT_EQ(of.boot.cumulative().back(), 1);
    EXPECT_NEAR(of.boot.sum(), 30, 1);
  });
  EXPECT_EQ(pools, 1);
}

TEST_F(EngineScaling, LoadIsSampledWhenItChanges) {
  const auto samples = [&] { return store->reads().load_samples("cpu", 0, clock.wall() + 1, 100); };
  pass(60'000);
  EXPECT_EQ(samples().size(), 1u) << "a fleet at rest costs no sync";
  for (int i = 0; i < 3; ++i) submit(job());
  pass(11'000);
  auto newest = samples().back();
  EXPECT_EQ(std::tuple(newest.ready, newest.ready_slots, newest.arrived), std::tuple(3, 3, 3));
  auto host = join_machine("h1", "m1");
  fetch(host, 2);
  for (int i = 0; i < 5; ++i) pass(4'000), beat(host);
  newest = samples().back();
  EXPECT_EQ(std::tuple(newest.ready, newest.running, newest.running_slots, newest.arrived, newest.hosts),
            std::tuple(1, 2, 2, 0, 1));
}

// ---- who is packed

TEST_F(EngineScaling, AMachineThatMayGoIsFilledBeforeTheNext) {
  std::vector<TestHost> hosts;
  for (const auto* name : {"h1", "h2", "h3"}) hosts.push_back(join_machine(name, name));
  std::vector<Slot<FetchAnswer>> slots(3);
  for (std::size_t i = 0; i < 3; ++i) open_fetch(hosts[i], 2, slots[i]);
  tick();
  const auto busy = [&] {
    std::multiset<int> used;
    for (const auto& host : hosts) used.insert(engine->state().hosts.at(host.id).slots_used);
    return used;
  };
  submit_all({job(), job()});
  EXPECT_EQ(busy(), (std::multiset<int>{0, 0, 2})) << "both on one";
}

TEST_F(EngineScaling, OtherHostsShareTheWork) {
  auto fixed = pool_named("cpu");
  fixed.settings.limits.minimum = fixed.settings.limits.maximum = 3;
  ask(PutPool{fixed, {}}).value();
  std::vector<TestHost> hosts;
  for (const auto* name : {"h1", "h2", "h3"}) hosts.push_back(join_machine(name, name));
  std::vector<Slot<FetchAnswer>> slots(3);
  for (std::size_t i = 0; i < 3; ++i) open_fetch(hosts[i], 2, slots[i]);
  tick();
  submit_all({job(), job()});
  std::multiset<int> used;
  for (const auto& host : hosts) used.insert(engine->state().hosts.at(host.id).slots_used);
  EXPECT_EQ(used, (std::multiset<int>{0, 1, 1})) << "a pool that cannot shrink gains nothing by it";
}

TEST_F(EngineScaling, AHostThatHasDoneSuchWorkComesFirstAmongEquals) {
  auto first = join("a"), second = join("b");
  push("other");
  submit(job("Work", "other"));
  ASSERT_EQ(fetch(second).leases.size(), 1u);
  finish(second, second.running.at(0));
  Slot<FetchAnswer> one, two;
  open_fetch(first, 4, one);
  open_fetch(second, 4, two);
  tick();
  submit(job("Work", "other"));
  EXPECT_EQ(engine->state().hosts.at(second.id).slots_used, 1) << "its package is there";
  submit(job());
  EXPECT_EQ(engine->state().hosts.at(first.id).slots_used, 1) << "but an emptier one goes before it";
}

// ---- what an operator drains

TEST_F(EngineScaling, AnOperatorsDrainOutlivesItsHost) {
  auto host = join("w1");
  ask(SetHostMode{"w1", HostMode::drain}).value();
  ReportCall bye;
  bye.leaving = true;
  send(host, bye);
  ASSERT_FALSE(engine->state().hosts.contains(host.id));
  restart();
  host = join("w1");
  EXPECT_EQ(row_of(host).mode, HostMode::drain);
  EXPECT_EQ(row_of(host).mode_by, ModeBy::operator_);
  EXPECT_EQ(row_of(join("w2")).mode, HostMode::run);
  ask(SetHostMode{"w1", HostMode::run}).value();
  host = join("w1", 4, {}, host.id);
  EXPECT_EQ(row_of(host).mode, HostMode::run) << "resumed is resumed";
}

TEST_F(EngineScaling, AHostThatIsAwayCanBeResumed) {
  auto host = join("w1");
  ask(SetHostMode{"w1", HostMode::drain}).value();
  ReportCall bye;
  bye.leaving = true;
  send(host, bye);
  const auto info = ask(SetHostMode{"w1", HostMode::run}).value();
  EXPECT_FALSE(info.alive);
  EXPECT_EQ(info.host.mode, HostMode::run);
  EXPECT_EQ(ask(SetHostMode{"w1", HostMode::run}).error(), Code::notFound) << "nothing is known of it any more";
  restart();
  EXPECT_EQ(row_of(join("w1")).mode, HostMode::run);
}

TEST_F(EngineScaling, AScalersDrainDoesNotOutliveItsHost) {
  auto host = join_machine("h1", "m1");
  move(host, HostMode::drain).value();
  host = join_machine("h1", "m1", "cpu", host.id);
  EXPECT_EQ(row_of(host).mode, HostMode::run);
}

}  // namespace
}  // namespace geres::hub::engine
