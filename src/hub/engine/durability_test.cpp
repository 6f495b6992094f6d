// SPDX-License-Identifier: Apache-2.0
// Durability under the engine: the scripted life of durability_world.h is cut at every operation on the disk, by the
// death of the process and by a loss of power that keeps what it likes of what was not synced; and every third one
// fails once, in turn with an error, for want of room, or half done. GERES_CRASH_ROUNDS=n, n > 1: crashes from n seeds
// (each fourth time without loss of power), and every operation fails in each of the three ways.
#include <cstdlib>

#include "hub/engine/durability_world.h"

namespace geres::hub::engine {
namespace {

using Fault = MemoryDisk::Fault;
using Act = MemoryDisk::Act;

std::int64_t rounds() {
  const char* text = std::getenv("GERES_CRASH_ROUNDS");
  return text == nullptr ? 1 : std::max(1L, std::atol(text));
}

// How many operations the script does when nothing fails.
std::int64_t operations() {
  static const std::int64_t count = [] {
    MemoryDisk disk;
    DurableWorld world(disk);
    EXPECT_TRUE(world.run()) << world.stopped;
    EXPECT_EQ(world.refusals, 0);
    return disk.operations();
  }();
  return count;
}

// Opens what the disk has kept, and goes on to the end.
void recover(DurableWorld& world) {
  world.close();
  world.disk.fail_none();
  ASSERT_NO_THROW(world.open());
  world.check();
  if (testing::Test::HasFatalFailure()) return;
  world.finish();
  world.check();
}

TEST(Durability, TheScriptReachesWhatItIsFor) {
  MemoryDisk disk;
  DurableWorld world(disk);
  ASSERT_TRUE(world.run()) << world.stopped;
  EXPECT_GT(disk.operations(), 300);
  EXPECT_FALSE(world.cancelled.empty());
  EXPECT_FALSE(world.redriven.empty());
  EXPECT_FALSE(world.purged.empty());
  std::set<model::Outcome> outcomes;
  for (const auto& [lease, outcome] : world.done) outcomes.insert(outcome);
  EXPECT_EQ(outcomes.size(), 6u) << "finished, failed, cancelled, released, aborted, timeout";
  recover(world);
  RecordProperty("operations", int(disk.operations()));
}

// What was answered is there whenever the process dies or the power fails.
TEST(Durability, ACrashAtAnyOperationLosesNothingThatWasAnswered) {
  SeededRandom dice(1);
  std::int64_t crashes = 0, unknown = 0;
  for (std::int64_t round = 0; round < rounds(); ++round)
    for (std::int64_t nth = 1; nth <= operations(); ++nth) {
      const bool power = round % 4 != 3;
      SCOPED_TRACE("round " + std::to_string(round) + ", operation " + std::to_string(nth) +
                   (power ? ", loss of power" : ", death of the process"));
      MemoryDisk disk;
      DurableWorld world(disk);
      disk.fail_nth(nth, Fault::cut);
      const bool whole = world.run();
      EXPECT_TRUE(whole || disk.cut()) << world.stopped;
      power ? disk.power_loss(dice) : disk.kill();
      recover(world);
      if (testing::Test::HasFailure()) return;
      ++crashes;
      unknown += world.unknowns;
    }
  EXPECT_GT(unknown, crashes / 4) << "most crashes must leave somebody without an answer";
  std::printf("%lld crashes, %lld operations each way\n", (long long)crashes, (long long)operations());
}

// One operation fails, the disk works on. For want of room: that command is told so, or nobody notices, and the hub
// goes on. In any other way, or at a sync: the hub stops with a sentence, and the failed sync is not tried again.
TEST(Durability, AnOperationThatFailsIsToldAsItIs) {
  SeededRandom dice(2);
  std::int64_t tried = 0, stopped = 0, refusals = 0;
  for (const auto fault : {Fault::io_error, Fault::no_space, Fault::short_write})
    for (std::int64_t nth = 1; nth <= operations(); ++nth) {
      if (rounds() == 1 && nth % 9 != 3 * (std::int64_t(fault) - 1)) continue;
      SCOPED_TRACE("fault " + std::to_string(int(fault)) + ", operation " + std::to_string(nth));
      MemoryDisk disk;
      DurableWorld world(disk);
      std::int64_t count = 0, after_sync = 0;
      std::optional<Act> failed;
      bool at_work = false;  // and not only opening or closing, after which the store is opened anew
      disk.set_plan([&](Act act, std::string_view) {
        if (act == Act::read) return Fault::none;
        if (failed == Act::sync && at_work) ++after_sync;
        if (++count != nth) return Fault::none;
        failed = act;
        at_work = world.engine != nullptr;
        return fault;
      });
      const bool whole = world.run();
      if (failed == Act::sync && at_work) {
        EXPECT_FALSE(whole) << "a hub went on after a failed sync";
      }
      if (!whole) {
        ++stopped;
        EXPECT_FALSE(world.stopped.empty());
        if (fault != Fault::io_error && at_work) {
          EXPECT_NE(failed, Act::write) << world.stopped;
        }
        // Out of use until it is opened anew: nothing is tried again, also not when it is closed.
        if (world.store) {
          EXPECT_THROW(world.store->begin(), store::StoreFailed);
        }
        world.close();
        EXPECT_EQ(after_sync, 0) << "something was written after a failed sync";
        if (failed == Act::sync && nth % 2 == 0) disk.power_loss(dice);
      }
      recover(world);
      if (testing::Test::HasFailure()) return;
      ++tried;
      refusals += world.refusals;
    }
  EXPECT_GT(stopped, 0);
  EXPECT_GT(refusals, 0);
  std::printf("%lld faults, %lld stopped the hub, %lld refusals\n", (long long)tried, (long long)stopped,
              (long long)refusals);
}

// The disk is full for a while, from each step of the script on: what does not fit is refused, and when there is room
// again it is taken, without anybody's help.
TEST(Durability, AFullDiskRefusesAndRecoversByItself) {
  const auto& script = DurableWorld::script();
  int refusals = 0;
  for (std::size_t from = 2; from + 4 < script.size(); ++from) {
    SCOPED_TRACE("full from step " + std::to_string(from));
    MemoryDisk disk;
    DurableWorld world(disk);
    for (std::size_t i = 0; i < from; ++i) script[i](world);
    disk.set_capacity(disk.used());
    for (std::size_t i = from; i < from + 3; ++i) ASSERT_NO_THROW(script[i](world)) << "step " << i;
    auto big = DurableWorld::job("big");
    big.spec.parameters = "\"" + std::string(2 << 20, 'p') + "\"";
    world.submit({big});
    EXPECT_TRUE(world.refused.contains("big")) << "there is no room, but it was taken";
    disk.set_capacity(0);
    world.pass(1'800);
    world.push();
    world.submit({DurableWorld::job("again")});
    EXPECT_TRUE(world.jobs.contains("again")) << "there is room, but no new job is taken";
    for (std::size_t i = from + 3; i < script.size(); ++i) ASSERT_NO_THROW(script[i](world)) << "step " << i;
    recover(world);
    if (HasFailure()) return;
    refusals += world.refusals;
  }
  EXPECT_GE(refusals, int(script.size()) - 6) << "of each time at least the big one";
}

// Every good answer and every event of the script finds nothing in the log that was not synced; and what is new since
// the last answer or event has been written and synced in between.
TEST(Durability, NothingIsAnsweredBeforeTheLogIsSynced) {
  MemoryDisk disk;
  DurableWorld world(disk);
  std::int64_t written = 0, synced = 0, tick_told = -1, synced_told = -1, news_told = 0, watched = 0;
  disk.set_plan([&](Act act, std::string_view file) {
    if (!file.ends_with("-wal")) return Fault::none;
    if (act == Act::write) ++written;
    if (act == Act::sync) synced = written;
    return Fault::none;
  });
  world.watch = [&](bool news) {
    ++watched;
    EXPECT_EQ(written, synced) << "somebody was told before the commit was on the disk";
    const auto tick = world.engine->state().tick;
    if (!news || tick == tick_told) return;  // an answer and the events of one tick share its commit
    EXPECT_GT(synced, synced_told) << "somebody was told of what was not written";
    tick_told = tick;
    synced_told = synced;
    ++news_told;
  };
  ASSERT_TRUE(world.run());
  EXPECT_GT(watched, 40);
  EXPECT_GT(news_told, 15);
}

}  // namespace
}  // namespace geres::hub::engine
