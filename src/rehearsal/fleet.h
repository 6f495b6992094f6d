// SPDX-License-Identifier: Apache-2.0
// A hub, a provider and hosts in simulated time. What the hub decides it decides by the real scheduler; its book is
// kept as a real one's, without what only faults of the network would need.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "hub/engine/snapshot.h"
#include "model/pool.h"
#include "rehearsal/rehearsal.h"
#include "scaler/hub.h"
#include "scaler/provider.h"

namespace geres::rehearsal {

namespace engine = hub::engine;

class Fleet final : public scaler::Hub {
 public:
  explicit Fleet(const Settings& settings);

  Millis now = 0;

  // When something happens next by itself; empty: never.
  std::optional<Millis> next() const;
  // Everything that happens up to `time`, and grants.
  void advance(Millis time);

  std::int64_t ended() const { return ended_; }
  bool all_ended() const { return ended_ == std::int64_t(settings_.jobs.size()); }
  bool can_go_on() const { return arrived_ < settings_.jobs.size() || running_ > 0; }
  std::int64_t machines() const { return std::int64_t(machines_.size()); }

  // ---- the provider
  scaler::Told<std::vector<scaler::Machine>> list();
  scaler::Told<scaler::Ordered> order(const scaler::Order& order);
  scaler::Told<std::vector<scaler::Removed>> remove(const std::vector<std::string>& instances);

  // ---- the hub
  scaler::FromHub<scaler::ScalerLease> lease(const std::string&, std::optional<std::int64_t>) override;
  scaler::FromHub<std::vector<std::string>> pools() override;
  scaler::FromHub<scaler::Book> book(const std::string&) override;
  scaler::FromHub<scaler::DemandNow> demand(const std::string&) override;
  scaler::FromHub<void> record(const std::string&, std::int64_t, const scaler::Record& record) override;
  scaler::FromHub<void> drain(const std::vector<std::string>& hosts, std::int64_t, const std::string&) override;
  scaler::FromHub<void> resume(const std::vector<std::string>& hosts, std::int64_t) override;
  scaler::FromHub<void> retire(const std::string& host, std::int64_t) override;
  scaler::FromHub<std::string> join_token(const std::string&, std::int64_t, const std::string&) override;

  void report(Report& to);  // waits, times, costs; ends the accounts of machines that are still there

 private:
  struct Running {
    std::uint32_t job = 0;
    engine::Account::Charge charge;
    bool over = false;
  };
  struct Host {
    std::string instance;  // empty: there anyway
    std::shared_ptr<engine::HostInfo> info;
    std::vector<Running> running;  // beside info->leases
    Millis joined = 0;
    Millis idle_since = 0;
  };
  struct Lane {
    hub::store::LaneKey key;
    std::size_t tenant = 0;
    std::deque<std::uint32_t> waiting;
    std::deque<Millis> lengths;  // of those that ended last
    Millis sum = 0;
  };
  struct Tenant {
    std::string name;
    engine::Account account;
    std::int64_t running = 0, slots = 0;
    std::vector<std::int32_t> waits;
    std::deque<Millis> lengths;
    Millis sum = 0;
  };
  struct Machine {
    std::string request;
    Millis ordered = 0, joins = 0;
    bool failed = false;
    std::size_t host = kNone;
  };
  enum class What { join, end, overrun };
  struct Event {
    Millis at = 0;
    std::uint64_t order = 0;
    What what = What::join;
    std::size_t host = 0;   // end, overrun
    std::uint32_t job = 0;  // likewise
    std::string instance;   // join
    bool operator>(const Event& other) const { return std::pair(at, order) > std::pair(other.at, other.order); }
  };
  static constexpr std::size_t kNone = std::size_t(-1), kLeft = std::size_t(-2);

  std::size_t lane_of(const Job& job);
  Millis expected(const Lane& lane) const;
  void push(Event event);
  void happen(const Event& event);
  void join(const std::string& instance);
  std::size_t add_host(const std::string& instance, int slots);
  void leave(std::size_t host);
  void end_job(std::size_t host, std::uint32_t job);
  void grant();
  void start(std::size_t lane, std::size_t host);
  void offer(std::size_t host);
  engine::HostView view_of(const Host& host) const;
  void fill_views();
  void settle(const Machine& machine);
  void sample();
  bool fails();
  Host* host_of(const std::string& id);

  const Settings& settings_;
  model::Pool pool_;
  std::mt19937_64 chance_;
  std::vector<Lane> lanes_;
  std::map<std::tuple<std::string, std::string, int>, std::size_t> lane_names_;
  std::vector<Tenant> tenants_;
  std::map<std::string, std::size_t> tenant_names_;
  std::vector<std::uint32_t> lane_of_job_;
  std::vector<Host> hosts_;
  std::vector<std::size_t> free_hosts_;      // places in hosts_ that can be used again
  std::set<std::size_t> open_;               // hosts with free slots that take jobs
  std::set<std::size_t> waiting_;            // lanes with jobs
  std::map<std::string, Machine> machines_;  // that the provider has
  std::map<std::string, scaler::BookMachine> book_;
  std::map<std::string, scaler::Intent> intents_;  // open ones
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t pushed_ = 0;
  std::size_t arrived_ = 0;
  std::deque<Millis> arrivals_;  // of the last ten minutes
  std::int64_t ended_ = 0, running_ = 0, ready_ = 0, late_ = 0, made_ = 0;
  std::int64_t hosts_now_ = 0, hosts_most_ = 0, coming_ = 0, wanted_ = 0;
  std::int64_t decisions_ = 0, changes_ = 0, ordered_ = 0, refused_ = 0;
  double ready_seconds_ = 0, booting_seconds_ = 0, idle_seconds_ = 0, wasted_seconds_ = 0;
  Millis last_end_ = 0, sample_every_ = 1'000;
  std::vector<Sample> samples_;
  // Views of one pass, kept for their memory.
  std::vector<engine::TenantView> tenant_views_;
  std::vector<engine::BatchView> batch_views_;
  std::vector<engine::LaneView> lane_views_;
  std::vector<engine::HostView> host_views_;
  std::vector<std::size_t> lane_at_, host_at_;
  std::vector<std::size_t> tenant_at_;  // where a tenant stands among the views
};

}  // namespace geres::rehearsal
