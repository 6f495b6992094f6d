// SPDX-License-Identifier: Apache-2.0
// Shares over time: accounts by themselves, then a fleet whose jobs take as long as they take and end one by one, with
// many more tenants than slots, or many slots.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <queue>
#include <random>

#include "hub/engine/scheduler_world.h"

namespace geres::hub::engine {
namespace {

TEST(Account, ALeaseCountsAsLongAsItIsExpectedToThenAsItRunsThenAsItRan) {
  Account account;
  auto charge = account.begin(2, 1'000, 50);
  EXPECT_EQ(account.charged(60), 2'000);
  EXPECT_EQ(account.spent(60), 20);
  account.overrun(charge);
  EXPECT_EQ(account.charged(3'050), 6'000);
  EXPECT_EQ(account.spent(3'050), 6'000);
  account.end(charge, 4'050);
  EXPECT_EQ(account.charged(9'000), 8'000);
  auto brief = account.begin(1, 60'000, 9'000);
  EXPECT_EQ(account.charged(9'000), 68'000);
  account.end(brief, 9'000);
  EXPECT_EQ(account.charged(9'000), 8'001) << "a job of no length costs a millisecond";
  EXPECT_EQ(virtual_time(account.charged(9'000), 4), 2000.25);
}

TEST(Account, SlotsThatStandIdleForItCountAsTheyDo) {
  Account account;
  account.keep_idle(3, 100);
  EXPECT_EQ(account.charged(200), 300);
  account.keep_idle(-2, 200);
  account.keep_idle(-1, 300);
  EXPECT_EQ(account.charged(900), 400);
  EXPECT_EQ(account.spent(900), 400);
}

TEST(Account, WhatItHasSpentCanBeSetAndWhatIsExpectedComesOnTop) {
  Account account;
  account.begin(1, 1'000, 10);
  account.set_spent(80, 40);
  EXPECT_EQ(account.spent(40), 80);
  EXPECT_EQ(account.charged(40), 1'050);
  account.set_spent(20, 40);
  EXPECT_EQ(account.charged(40), 990);
}

TEST(MeanDuration, ForgetsWhatIsLongAgo) {
  model::MeanDuration mean;
  mean.add(10);
  EXPECT_EQ(mean.ms, 10);
  mean.add(30);
  EXPECT_EQ(mean.ms, 20);
  for (int i = 0; i < 2'000; ++i) mean.add(500);
  EXPECT_NEAR(mean.ms, 500, 0.1);
}

// Tenants that always have work, one lane each, on hosts of one slot count in all.
class Fleet {
 public:
  using Duration = std::function<Millis(Index tenant, std::mt19937& random)>;

  Fleet(const std::vector<double>& weights, int slots, Duration duration) : duration_(std::move(duration)) {
    const Index batch = world_.batch();
    for (Index t = 0; t < weights.size(); ++t) {
      const Index lane = world_.lane(world_.tenant("t" + std::to_string(t), weights[t]), batch, 1);
      world_.lanes[lane].ready = 1'000'000'000;
    }
    world_.host(slots);
    accounts_.resize(weights.size());
    means_.resize(weights.size());
    grants_.resize(weights.size());
    slot_time_.resize(weights.size());
  }

  void run(std::int64_t grants) {
    while (made_ < grants) {
      serve();
      const Millis step = now_ + 20;  // ends are taken together, as a tick does
      now_ = std::max(step, ends_.top().at);
      while (!ends_.empty() && ends_.top().at <= now_) finish();
    }
  }

  std::int64_t grants(Index tenant) const { return grants_[tenant]; }
  std::int64_t all_grants() const { return made_; }
  double slot_time(Index tenant) const { return double(slot_time_[tenant]); }  // of jobs that have ended
  double weight(Index tenant) const { return world_.tenants[tenant].weight; }
  Index tenants() const { return accounts_.size(); }
  Index longest_wait() const { return longest_wait_; }  // in grants to others

 private:
  struct End {
    Millis at;
    Index tenant;
    Account::Charge charge;
    bool operator>(const End& other) const { return at > other.at; }
  };

  void serve() {
    for (Index t = 0; t < tenants(); ++t) {
      world_.lanes[t].expected = means_[t].ends > 0 ? std::llround(means_[t].ms) : 1'000;
      world_.tenants[t].slot_time = accounts_[t].charged(now_);
    }
    for (const Grant& grant : world_.ask().grants) {
      const Index t = grant.lane;
      const Millis length = duration_(t, random_);
      ends_.push({now_ + length, t, accounts_[t].begin(1, world_.lanes[t].expected, now_)});
      ++world_.tenants[t].slots;
      --world_.hosts[0].free_slots;
      ++grants_[t];
      ++made_;
      longest_wait_ = std::max(longest_wait_, Index(made_ - std::exchange(last_grant_[t], made_)));
    }
  }

  void finish() {
    const End end = ends_.top();
    ends_.pop();
    accounts_[end.tenant].end(end.charge, now_);
    slot_time_[end.tenant] += now_ - end.charge.begun;
    means_[end.tenant].add(now_ - end.charge.begun);
    --world_.tenants[end.tenant].slots;
    ++world_.hosts[0].free_slots;
  }

  World world_;
  Duration duration_;
  std::mt19937 random_{7};
  Millis now_ = 0;
  std::vector<Account> accounts_;
  std::vector<model::MeanDuration> means_;
  std::vector<std::int64_t> grants_;
  std::vector<SlotTime> slot_time_;
  std::map<Index, std::int64_t> last_grant_;
  std::int64_t made_ = 0;
  Index longest_wait_ = 0;
  std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
};

std::vector<double> one_to_ten(Index tenants) {
  std::vector<double> weights;
  for (Index t = 0; t < tenants; ++t) weights.push_back(double(1 + t % 10));
  return weights;
}

struct Errors {  // against the share by weight
  double worst = 0, mean = 0;
};

Errors errors(const Fleet& fleet, auto part) {
  double all = 0, weights = 0;
  for (Index t = 0; t < fleet.tenants(); ++t) all += part(t), weights += fleet.weight(t);
  Errors out;
  for (Index t = 0; t < fleet.tenants(); ++t) {
    const double error = std::abs(part(t) / (all * fleet.weight(t) / weights) - 1);
    out.worst = std::max(out.worst, error);
    out.mean += error / double(fleet.tenants());
  }
  return out;
}

// Against its share by weight, for tenants that weigh the same taken together: within 2 %, or a grant for each of them.
void expect_weights_kept(const Fleet& fleet) {
  struct Class {
    double got = 0, due = 0;
    int tenants = 0;
  };
  std::map<double, Class> classes;
  double weights = 0;
  for (Index t = 0; t < fleet.tenants(); ++t) weights += fleet.weight(t);
  for (Index t = 0; t < fleet.tenants(); ++t) {
    auto& own = classes[fleet.weight(t)];
    own.got += double(fleet.grants(t));
    own.due += double(fleet.all_grants()) * fleet.weight(t) / weights;
    ++own.tenants;
  }
  for (const auto& [weight, own] : classes)
    EXPECT_NEAR(own.got, own.due, std::max(0.02 * own.due, 1.0 * own.tenants)) << "weight " << weight;
}

Millis about_a_second(Index, std::mt19937& random) {
  return 500 + Millis(random() % 1'000);
}

Millis a_second(Index, std::mt19937&) {
  return 1'000;
}

TEST(Fairness, NobodyStarvesWhereThereAreManyMoreTenantsThanSlots) {
  for (const int slots : {1, 4, 10}) {
    Fleet fleet(std::vector<double>(100, 1.0), slots, about_a_second);
    fleet.run(20'000);
    for (Index t = 0; t < fleet.tenants(); ++t) EXPECT_NEAR(double(fleet.grants(t)), 200, 12) << slots << ' ' << t;
    const auto time = errors(fleet, [&](Index t) { return fleet.slot_time(t); });
    EXPECT_LT(time.worst, 0.15) << slots;
    EXPECT_LT(time.mean, 0.02) << slots;
  }
}

TEST(Fairness, WithEqualJobsNobodyIsPassedOverLongerThanItsWeightSays) {
  const auto weights = one_to_ten(50);
  const int slots = 3;
  Fleet fleet(weights, slots, a_second);
  fleet.run(20'000);
  // The lightest waits longest: sum of the weights / its own, and what is under way.
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  EXPECT_LE(double(fleet.longest_wait()), std::ceil(sum) + slots);
}

TEST(Fairness, GrantsFollowTheWeightsForManySlotsAndFew) {
  for (const int slots : {100, 2'000}) {
    Fleet fleet(one_to_ten(1'000), slots, about_a_second);
    fleet.run(100'000);
    expect_weights_kept(fleet);
  }
}

TEST(Fairness, WithEqualJobsEveryTenantGetsItsGrants) {
  for (const int slots : {100, 2'000}) {
    Fleet fleet(one_to_ten(1'000), slots, a_second);
    fleet.run(100'000);
    expect_weights_kept(fleet);
    double weights = 0;
    for (Index t = 0; t < fleet.tenants(); ++t) weights += fleet.weight(t);
    for (Index t = 0; t < fleet.tenants(); ++t) {
      const double due = double(fleet.all_grants()) * fleet.weight(t) / weights;
      EXPECT_NEAR(double(fleet.grants(t)), due, std::max(1.0, 0.02 * due)) << t;
    }
  }
}

TEST(Fairness, SlotTimeFollowsTheWeightsThoughJobsDifferTenfold) {
  for (const int slots : {100, 2'000}) {
    Fleet fleet(one_to_ten(500), slots,
                [](Index t, std::mt19937& random) { return Millis(1 + t / 10 % 10) * about_a_second(t, random); });
    fleet.run(100'000);  // a tenant that weighs 1 and has jobs of 10 s runs some twelve of them
    const auto time = errors(fleet, [&](Index t) { return fleet.slot_time(t); });
    EXPECT_LT(time.worst, 0.15) << slots;
    EXPECT_LT(time.mean, 0.02) << slots;
  }
}

}  // namespace
}  // namespace geres::hub::engine
