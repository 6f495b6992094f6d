// SPDX-License-Identifier: Apache-2.0
// The loop with its threads, real time and a hub in memory.
#include "scaler/scaler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "scaler/fake_world_test.h"
#include "scaler/policy_helper.h"

namespace geres::scaler {
namespace {

using testing::World;

template <class F>
bool comes_true(const F& fact) {
  for (int i = 0; i < 2'000; ++i) {
    if (fact()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

// The world of the other tests, for several threads.
class SharedHub final : public Hub {
 public:
  World world{SystemClock().wall()};
  std::recursive_mutex mutex;

  template <class F>
  auto with(const F& act) {
    const std::lock_guard lock(mutex);
    return act(world);
  }
  FromHub<ScalerLease> lease(const std::string& holder, std::optional<std::int64_t> epoch) override {
    return with([&](World& w) -> FromHub<ScalerLease> {
      if (holder_.empty() || holder_ == holder) {
        holder_ = holder;
        return w.lease(holder, epoch);
      }
      return HubTrouble{HubTrouble::Kind::held, "held by " + holder_};
    });
  }
  FromHub<std::vector<std::string>> pools() override {
    return with([&](World& w) { return w.pools(); });
  }
  FromHub<Book> book(const std::string& pool) override {
    return with([&](World& w) { return w.book(pool); });
  }
  FromHub<DemandNow> demand(const std::string& pool) override {
    return with([&](World& w) { return w.demand(pool); });
  }
  FromHub<void> record(const std::string& pool, std::int64_t epoch, const Record& record) override {
    return with([&](World& w) { return w.record(pool, epoch, record); });
  }
  FromHub<void> drain(const std::vector<std::string>& hosts, std::int64_t epoch, const std::string& why) override {
    return with([&](World& w) { return w.drain(hosts, epoch, why); });
  }
  FromHub<void> resume(const std::vector<std::string>& hosts, std::int64_t epoch) override {
    return with([&](World& w) { return w.resume(hosts, epoch); });
  }
  FromHub<void> retire(const std::string& host, std::int64_t epoch) override {
    return with([&](World& w) { return w.retire(host, epoch); });
  }
  FromHub<std::string> join_token(const std::string& pool, std::int64_t epoch, const std::string& request) override {
    return with([&](World& w) { return w.join_token(pool, epoch, request); });
  }
  void give_lease_to(const std::string& holder) {
    with([&](World& w) {
      holder_ = holder;
      ++w.epoch;
    });
  }

 private:
  std::string holder_;
};

class WorldProvider final : public Provider {
 public:
  explicit WorldProvider(SharedHub& hub) : hub_(hub) {}
  Capabilities capabilities() const override { return {}; }
  Told<std::vector<Machine>> list() override {
    return hub_.with([](World& w) { return w.list(); });
  }
  Told<Ordered> order(const Order& order) override {
    if (hangs)
      while (!stopped_) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (stopped_) return Refusal{Why::unknown, 0, "stopped", true};
    return hub_.with([&](World& w) { return w.order(order); });
  }
  Told<std::vector<Removed>> remove(std::span<const std::string> instances, const std::string&) override {
    return hub_.with([&](World& w) { return w.remove({instances.begin(), instances.end()}); });
  }
  Told<std::vector<Removed>> wake(std::span<const std::string>, const std::string&) override {
    return std::vector<Removed>();
  }
  void stop() override { stopped_ = true; }
  static inline std::atomic<bool> hangs = false;

 private:
  SharedHub& hub_;
  std::atomic<bool> stopped_ = false;
};

struct Running {
  std::atomic<bool> stop = false;
  std::unique_ptr<Scaler> scaler;
};

class ScalerTest : public ::testing::Test {
 protected:
  SharedHub hub_;
  SystemClock clock_;

  ScalerTest() {
    WorldProvider::hangs = false;
    hub_.world.boot = 1;
    hub_.world.job_time = 3'600'000;
    hub_.world.pool.limits.interval = 1'000;
  }

  void start(Running& running, const std::string& holder) {
    Scaler::Options options;
    options.holder = holder;
    options.make_decider = [this](const Pool& pool) { return make_decider(pool, "", clock_); };
    options.make_provider = [this](const Pool&) -> Result<std::unique_ptr<Provider>> {
      return std::unique_ptr<Provider>(std::make_unique<WorldProvider>(hub_));
    };
    options.renew_every = 50, options.pools_every = 50, options.need_every = 50, options.lease_retry = 50;
    running.scaler = std::make_unique<Scaler>(std::move(options), hub_, clock_, running.stop);
    running.scaler->start();
  }

  bool has(std::size_t machines) {
    return comes_true([&] {
      return hub_.with([&](World& world) {
        world.step(std::max<Millis>(1, clock_.wall() - world.now));
        return world.alive() == machines;
      });
    });
  }
};

TEST_F(ScalerTest, KeepsAPoolAtWhatIsWanted) {
  Running one;
  start(one, "one");
  hub_.with([](World& world) { world.queue = 8; });
  EXPECT_TRUE(has(2));
  EXPECT_TRUE(one.scaler->leads());
  hub_.with([](World& world) { world.queue = 8; });
  EXPECT_TRUE(has(4));
}

TEST_F(ScalerTest, WaitsWhileAnotherLeadsAndTakesOverWhereItEnded) {
  Running one, two;
  start(one, "one");
  hub_.with([](World& world) { world.queue = 8; });
  EXPECT_TRUE(has(2));
  start(two, "two");
  hub_.give_lease_to("two");
  EXPECT_TRUE(comes_true([&] { return two.scaler->leads() && !one.scaler->leads(); }));
  hub_.with([](World& world) { world.queue = 8; });
  EXPECT_TRUE(has(4));
  hub_.with([](World& world) { EXPECT_LE(world.ordered_calls, 3); });
}

TEST_F(ScalerTest, StopsWhileAProviderHangs) {
  WorldProvider::hangs = true;
  Running one;
  start(one, "one");
  hub_.with([](World& world) { world.queue = 8; });
  EXPECT_TRUE(comes_true([&] { return hub_.with([](World& world) { return world.intents.size() == 1; }); }));
  one.scaler->stop();
  WorldProvider::hangs = false;
  Running next;
  start(next, "one");  // the hub gives it the lease again
  EXPECT_TRUE(has(2)) << "what became of that order is found out, and another made";
}

// ---- what a hub answers ---------------------------------------------------------------------------------------------

TEST(ReadBook, ReadsWhatAHubAnswers) {
  const auto book = read_book(json::parse(R"({"pool": {"name": "cpu", "version": 4, "mode": "act", "paused": false,
      "template": {"slots": 4, "memory": "8GiB", "labels": {"zone": "a"}, "types": ["thumbnail"], "tenants": ["a"]},
      "provider": {"name": "command", "command": ["/etc/geres/scale.sh"]}, "policy": {"name": "messageWaitingTime", "wait": "30s"},
      "limits": {"minimumRunning": 1, "maximumJobHosts": 7, "maximumIdleJobHosts": 3, "idleTime": "never", "interval": "20s", "stepOut": 2,
                 "stepIn": "25%", "bootTimeout": "10m", "drainBusy": false, "cost": 1.5},
      "scale": {"wanted": 7, "until": "2026-11-30T10:00:00Z"}},
    "machines": [{"instance": "i1", "state": "ready", "request": "r1", "orderedAt": "2026-11-30T09:00:00Z", "readyAt": "2026-11-30T09:00:20Z",
      "host": {"id": "h1", "name": "w1", "mode": "drain", "by": "scaler", "slots": 4, "busy": 2, "restSeconds": 12.5, "dedicated": true, "lost": false,
               "unfit": false, "keep": true, "new": 1}}],
    "intents": [{"request": "r2", "verb": "order", "count": 3, "state": "issued", "issuedAt": "2026-11-30T09:00:00Z"}],
    "decisions": [{"at": "2026-11-30T09:00:00Z", "input": {"demand": {"runnable": {"jobs": 5}}, "hosts": {"ready": 2}}, "policy": "messageCount",
                   "raw": 3, "wanted": 2, "actual": 2, "changes": {"drain": 1}, "reason": "because", "outcome": "ok"}]})")
                                  .value())
                        .value();
  EXPECT_EQ(book.pool.what.memory_bytes, 8LL << 30);
  EXPECT_EQ(book.pool.limits.minimum, 1);
  EXPECT_EQ(book.pool.limits.maximum, 7);
  EXPECT_EQ(book.pool.limits.maximum_idle, 3);
  EXPECT_FALSE(book.pool.limits.idle_time);
  EXPECT_EQ(book.pool.limits.step_out, (Step{0, 2}));
  EXPECT_EQ(book.pool.by_hand->wanted, 7);
  EXPECT_EQ(book.machines[0].host->mode, Mode::drain);
  EXPECT_TRUE(book.machines[0].host->dedicated);
  EXPECT_EQ(*book.intents[0].count, 3);
  EXPECT_EQ(book.decisions[0].changes.drain, 1);
}

TEST(ReadPool, RefusesWhatWouldRunWild) {
  const auto field = [](const char* pool) {
    const auto read = read_pool(json::parse(pool).value());
    return read ? std::string("fine") : read.error().field;
  };
  EXPECT_EQ(field(R"({"name": "cpu", "limits": {"minimum": 3, "maximum": 2}})"), "/limits/minimum");
  EXPECT_EQ(field(R"({"name": "cpu", "limits": {"maximum": 1000000000}})"), "/limits/maximum");
  EXPECT_EQ(field(R"({"name": "cpu", "limits": {"interval": "0s"}})"), "/limits/interval");
  EXPECT_EQ(field(R"({"name": "cpu", "limits": {"stepOut": "x"}})"), "/limits/stepOut");
  EXPECT_EQ(field(R"({"name": "cpu", "template": {"slots": 0}})"), "/template/slots");
  EXPECT_EQ(field(R"({"name": "cpu", "limits": {"idleTime": "0"}})"), "fine");
  EXPECT_EQ(field(R"({"limits": {}})"), "/name");
}

}  // namespace
}  // namespace geres::scaler
