// SPDX-License-Identifier: Apache-2.0
// A scaler at work: holds the hub's lease, evaluates each pool in its interval, and has one thread for each pool's
// calls to its provider, for which nothing else waits. Any number may run; the one with the lease acts, the others
// wait.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "scaler/hub.h"
#include "scaler/keeper.h"

namespace geres::scaler {

using MakeProvider = std::function<Result<std::unique_ptr<Provider>>(const Pool& pool)>;

class Scaler {
 public:
  struct Options {
    std::string holder;  // host:pid:random
    MakeDecider make_decider;
    MakeProvider make_provider;
    Millis renew_every = 10'000;
    Millis pools_every = 5'000;
    Millis need_every = 3'000;  // whether a pool with nothing coming has got work
    Millis lease_retry = 5'000;
  };

  // `stop` is set by stop(), and is also what ends the hub's calls early.
  Scaler(Options options, Hub& hub, const Clock& clock, std::atomic<bool>& stop);
  ~Scaler();  // stop()

  void start();
  void stop();  // calls to providers end soon; what became of them is found out by the next scaler
  bool leads() const { return leads_; }  // any thread

 private:
  struct PoolRun;
  void run();
  bool hold_lease();
  void lose_lease(const std::string& why);
  void refresh_pools();
  void take_answers();
  void evaluate(PoolRun& pool);
  bool gained_work(PoolRun& pool);
  const Capabilities* provider_of(PoolRun& run, const Pool& pool);
  void call(PoolRun& pool, DueCall due);
  Millis next_due() const;
  void wake();

  Options options_;
  Hub& hub_;
  const Clock& clock_;
  std::atomic<bool>& stop_;
  std::atomic<bool> leads_ = false;
  SystemRandom random_;
  std::optional<std::int64_t> epoch_;
  Millis renew_at_ = 0, pools_at_ = 0;
  std::map<std::string, std::unique_ptr<PoolRun>> pools_;
  std::string said_;  // why there is no lease, so that it is logged once
  std::mutex mutex_;
  std::condition_variable wake_;
  bool woken_ = false;
  std::thread thread_;
};

}  // namespace geres::scaler
