// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/durability_world.h"

namespace geres::hub::engine {

using model::JobState;
using model::Outcome;

// ---- verbs ----------------------------------------------------------------------------------------------------------

NewJob DurableWorld::job(const std::string& name) {
  NewJob one;
  one.spec.tenant = "acme";
  one.spec.type = "Work";
  one.spec.package = "tools";
  one.spec.name = name;
  one.spec.parameters = "\"" + std::string(100, 'p') + "\"";
  one.spec.max_attempts = 2;
  one.spec.backoff = {500, 1, 500};
  return one;
}

void DurableWorld::submit(const std::vector<NewJob>& list, const std::string& list_key) {
  Submit call;
  call.caller = admin();
  call.jobs = list;
  call.list = list.size() > 1;
  call.list_key = list_key;
  call.list_digest = list_key;
  const auto made = ask<Submitted>([&](auto answer) { engine->ask(call, std::move(answer)); });
  if (!made && last != Code::unknown)
    for (const auto& one : list) refused.insert(one.spec.name);
  if (!made) return;
  ASSERT_EQ(made->ids.size(), list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    jobs[list[i].spec.name] = made->ids[i];
    if (!list[i].spec.key.empty()) keyed[made->ids[i]] = list[i].spec.key;
  }
  for (const auto& one : made->jobs) seen[one.id] = one.status.version;
}

void DurableWorld::push() {
  model::PackageVersion package;
  package.tenant = "acme";
  package.name = "tools";
  package.sha256 = std::string(64, 'a');
  package.types = {"Work"};
  ask<KeptPackage>([&](auto answer) { engine->ask(PutPackage{package}, std::move(answer)); });
}

void DurableWorld::join() {
  RegisterHost call;
  call.host.name = "h";
  call.host.slots = 8;
  for (const auto& known : store->reads().hosts())
    if (known.name == "h") call.replaces = known.id;
  held.clear();
  const auto made = ask<model::Host>([&](auto answer) { engine->ask(call, std::move(answer)); });
  if (made) host = made->id;
  report_seq = 0;
  ++host_lives;
}

void DurableWorld::fetch(int slots) {
  FetchCall call;
  call.host = host;
  call.fetch_id = "f" + std::to_string(host_lives) + "-" + std::to_string(++fetches);
  call.slots = slots;
  call.wait = 0;
  call.received_at = clock.monotonic();
  const auto found = ask<FetchAnswer>([&](auto answer) { engine->ask(call, std::move(answer)); });
  if (!found) return;
  for (const auto& granted : found->leases) {
    held.push_back({granted.lease.name, granted.lease.job});
    seen[granted.lease.job] = std::max(seen[granted.lease.job], granted.lease.version);
  }
}

void DurableWorld::report(ReportCall call) {
  call.host = host;
  call.seq = ++report_seq;
  for (const auto& one : held) call.running.push_back(one.lease);
  for (const auto& item : call.finished) std::erase(call.running, item.lease);
  const auto found = ask<ReportAnswer>([&](auto answer) { engine->ask(call, std::move(answer)); });
  if (!found) return;
  for (const auto& item : call.finished)
    if (std::find(found->accepted.begin(), found->accepted.end(), item.lease) != found->accepted.end())
      done[item.lease] = item.outcome;
  std::erase_if(held, [&](const Held& one) {
    return std::any_of(call.finished.begin(), call.finished.end(), [&](const auto& f) { return f.lease == one.lease; });
  });
}

void DurableWorld::end(std::size_t which, Outcome outcome, int) {
  if (held.empty()) return;  // the grant was refused
  Completion item;
  item.lease = held[which % held.size()].lease;
  item.outcome = outcome;
  item.exit = model::Exit{outcome == Outcome::finished ? 0 : 1, std::nullopt};
  if (outcome == Outcome::finished) {
    item.result = "done";
    item.files = {{"out.txt", 3, std::string(64, 'b')}};
  }
  ReportCall call;
  call.finished = {item};
  report(call);
}

void DurableWorld::cancel(const std::string& name) {
  const auto found = jobs.find(name);
  if (found == jobs.end()) return;  // its submit was refused
  const auto made = ask<model::Job>([&](auto answer) {
    engine->ask(CancelJob{admin(), found->second, {}}, std::move(answer));
  });
  if (!made) return;
  seen[found->second] = made->status.version;
  if (!model::ended(made->status.state) || made->status.state == JobState::cancelled) cancelled.insert(found->second);
}

void DurableWorld::redrive(const std::string& name) {
  const auto found = jobs.find(name);
  if (found == jobs.end() || purged.contains(found->second)) return;
  const auto old = store->reads().job(found->second);
  if (!old || !model::ended(old->status.state)) return;
  const auto made = ask<model::Job>([&](auto answer) {
    engine->ask(RedriveJob{admin(), found->second}, std::move(answer));
  });
  if (made) redriven[found->second] = made->id;
}

void DurableWorld::batch(const std::string& name) {
  NewBatch call;
  call.tenant = "acme";
  call.name = name;
  if (ask<model::Batch>([&](auto answer) { engine->ask(CreateBatch{admin(), call}, std::move(answer)); }))
    batches.insert(name);
}

// ---- the script -----------------------------------------------------------------------------------------------------

const std::vector<DurableWorld::Step>& DurableWorld::script() {
  using World = DurableWorld;
  static const auto named = [](const std::string& name) { return World::job(name); };
  static const auto keyed_job = [](const std::string& name) {
    auto one = World::job(name);
    one.spec.key = name;
    one.spec.key_digest = name;
    return one;
  };
  static const std::vector<Step> steps{
      [](World& w) { w.open(); },
      [](World& w) { w.push(); },
      [](World& w) { w.submit({keyed_job("first")}); },
      [](World& w) {
        w.submit({named("a"), named("b"), named("c"), named("d")}, "list");
      },
      [](World& w) {
        auto later = named("later");
        later.spec.delay = 2'000;
        auto timed = named("timed");
        timed.spec.queue_timeout = 600'000;
        w.submit({later, timed});
      },
      [](World& w) { w.join(); },
      [](World& w) { w.fetch(4); },
      [](World& w) {
        ReportCall call;
        for (const auto& one : w.held) call.started.push_back(one.lease);
        if (!w.held.empty()) call.progress = {{w.held[0].lease, {50, "half"}}};
        w.report(call);
      },
      [](World& w) { w.end(0, Outcome::finished); },
      [](World& w) { w.end(0, Outcome::failed); },
      [](World& w) { w.cancel("c"); },
      [](World& w) { w.end(0, Outcome::cancelled); },
      [](World& w) { w.end(0, Outcome::released); },
      [](World& w) { w.cancel("timed"); },
      [](World& w) { w.batch("night"); },
      [](World& w) {
        std::vector<NewJob> list{named("n1"), named("n2"), named("n3"), named("n4"), named("n5")};
        for (auto& one : list) one.batch = "night";
        if (w.batches.contains("night")) w.submit(list);
      },
      [](World& w) {
        if (!w.batches.contains("night")) return;
        const auto made = w.ask<model::Batch>([&](auto answer) {
          w.engine->ask(CancelBatch{admin(), "night", {}}, std::move(answer));
        });
        w.settle();  // its slices
        for (const auto* name : {"n1", "n2", "n3", "n4", "n5"})
          if (made && w.jobs.contains(name)) w.cancelled.insert(w.jobs.at(name));
      },
      [](World& w) { w.fetch(2); },
      [](World& w) { w.end(0, Outcome::aborted); },
      [](World& w) { w.redrive("first"); },
      [](World& w) {
        store::JobFilter filter;
        filter.states = {JobState::failed, JobState::cancelled};
        w.ask<BulkDone>([&](auto answer) { w.engine->ask(RedriveWhere{admin(), filter}, std::move(answer)); });
      },
      [](World& w) { w.pass(2'700); },  // the delay and the pause before a retry are over
      [](World& w) { w.close(), w.open(); },
      [](World& w) { w.fetch(3); },
      [](World& w) { w.join(); },  // the host came back anew: what it held is lost
      [](World& w) { w.fetch(6); },
      [](World& w) { w.end(0, Outcome::finished), w.end(0, Outcome::timeout), w.end(0, Outcome::finished); },
      [](World& w) { w.clock.advance(7'200'000), w.settle(); },  // retention takes what has ended
      [](World& w) { w.submit({keyed_job("last")}); },
      [](World& w) { w.close(); },
  };
  return steps;
}

bool DurableWorld::run() {
  try {
    for (const auto& step : script()) step(*this);
    return true;
  } catch (const store::StoreFailed& failed) {
    EXPECT_EQ(failed.failure, store::Failure::fatal) << failed.what();
    stopped = failed.what();
    return false;
  }
}

// ---- judging --------------------------------------------------------------------------------------------------------

void DurableWorld::check() {
  auto& reads = store->reads();
  const auto audit = reads.audit({.now = clock.wall(), .keep_key_min = options.keep_key_min, .host_losses_max = 3});
  for (const auto& v : audit.violations)
    ADD_FAILURE() << v.rule << " (" << v.invariant << ") " << v.table << " " << v.row << ": " << v.sentence;
  for (const auto& [name, id] : jobs) {
    const auto found = reads.job(id);
    // Retention began two hours after all else: whatever is gone then had ended.
    if (!found && clock.wall() > 1'700'000'000'000 + 7'000'000) continue;
    ASSERT_TRUE(found) << "the acknowledged job " << name << " is lost";
    EXPECT_EQ(found->spec.name, name);
    EXPECT_GE(found->status.version, seen[id]) << name << " is older than an answer about it";
    if (cancelled.contains(id)) {
      EXPECT_TRUE(model::ended(found->status.state) || found->status.cancel_requested_at)
          << "the cancel of " << name << " is forgotten";
    }
    if (const auto key = keyed.find(id); key != keyed.end()) {
      EXPECT_EQ(found->spec.key, key->second);
    }
    if (const auto again = redriven.find(id); again != redriven.end()) {
      EXPECT_TRUE(found->status.redriven_as);
      EXPECT_TRUE(reads.job(again->second)) << "what " << name << " was run again as is lost";
    }
  }
  for (const auto& name : refused) {
    store::JobFilter filter;
    filter.name = name;
    EXPECT_EQ(reads.count(filter).count, 0) << name << " was refused, but is there";
  }
  for (const auto& [lease, outcome] : done) {
    const auto row = store->ended_attempt(lease);
    if (!row && clock.wall() > 1'700'000'000'000 + 7'000'000) continue;
    ASSERT_TRUE(row) << "an accepted completion is lost";
    EXPECT_EQ(row->attempt.outcome, outcome);
  }
  std::set<std::string> names;
  for (const auto& stored : reads.batches({}, {}, 1'000)) names.insert(stored.batch.name);
  const bool purges = clock.wall() > 1'700'000'000'000 + 7'000'000;  // then one that takes no jobs may have gone, too
  for (const auto& name : batches) EXPECT_TRUE(names.contains(name) || purges) << "the batch " << name << " is lost";
  std::map<store::EventNo, store::EventRow> kept;
  for (auto& event : reads.events(0, 100'000)) kept.emplace(event.no, std::move(event));
  for (const auto& event : told) {
    const auto found = kept.find(event.no);
    if (found == kept.end() && !kept.empty() && event.no < kept.begin()->first) continue;  // past its time
    ASSERT_TRUE(found != kept.end()) << "event " << event.no << " was told, but is lost";
    EXPECT_EQ(found->second.type, event.type) << event.no;
    EXPECT_EQ(found->second.subject, event.subject) << event.no;
  }
}

void DurableWorld::finish() {
  push();
  join();
  submit({job("after")});
  ASSERT_TRUE(jobs.contains("after"));
  const auto live = [&] {
    store::JobFilter filter;
    filter.states = {JobState::scheduled, JobState::ready, JobState::leased, JobState::running};
    return store->reads().count(filter).count;
  };
  int rounds = 0;
  for (; live() > 0 && rounds < 200; ++rounds) {
    fetch(8);
    while (!held.empty()) end(0, Outcome::finished);
    if (live() > 0) pass(900);
  }
  EXPECT_EQ(live(), 0) << "not everything ends";
  if (const auto first = jobs.find("first"); first != jobs.end() && store->reads().job(first->second)) {
    auto repeat = job("first");
    repeat.spec.key = repeat.spec.key_digest = "first";
    submit({repeat});
    EXPECT_EQ(jobs.at("first"), first->second) << "a repeat with the key made another job";
  }
}

}  // namespace geres::hub::engine
