// SPDX-License-Identifier: Apache-2.0
#include "scaler/scaler.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"

namespace geres::scaler {
namespace {

constexpr Millis kAgain = 5'000;  // after the hub was away

CallAnswer make_call(Provider& provider, const DueCall& due) {
  try {
    switch (due.call.kind) {
      case Call::Kind::list:
        return provider.list();
      case Call::Kind::order:
        return provider.order(due.order);
      case Call::Kind::remove:
        return provider.remove(due.call.instances, due.intent.request);
      case Call::Kind::wake:
        return provider.wake(due.call.instances, due.intent.request);
    }
  } catch (const std::exception& trouble) {
    const Refusal refusal{Why::unknown, 0, trouble.what(), true};
    if (due.call.kind == Call::Kind::list) return Told<std::vector<Machine>>(refusal);
    if (due.call.kind == Call::Kind::order) return Told<Ordered>(refusal);
    return Told<std::vector<Removed>>(refusal);
  }
  return Told<std::vector<Removed>>(std::vector<Removed>());
}

}  // namespace

// A pool, its provider, and the thread that calls it. `due` is handed to the thread, `answer` back.
struct Scaler::PoolRun {
  PoolRun(const std::string& name, Hub& hub, MakeDecider make_decider, Random& random)
      : keeper(name, hub, std::move(make_decider), random, std::uint32_t(random.next())) {}

  Keeper keeper;
  std::shared_ptr<Provider> provider;  // the thread has a share while it calls
  Capabilities capabilities;
  std::optional<std::int64_t> version;  // of the settings that it was made from
  std::string provider_trouble;
  Millis evaluate_at = 0, need_at = 0;
  std::thread thread;
  std::optional<DueCall> due;
  std::optional<CallAnswer> answer;  // under the scaler's mutex until `answered`
  bool answered = false;
};

Scaler::Scaler(Options options, Hub& hub, const Clock& clock, std::atomic<bool>& stop)
    : options_(std::move(options)), hub_(hub), clock_(clock), stop_(stop) {}

Scaler::~Scaler() {
  stop();
}

void Scaler::start() {
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

void Scaler::stop() {
  stop_ = true;
  wake();
  if (thread_.joinable()) thread_.join();
}

void Scaler::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  wake_.notify_all();
}

void Scaler::run() {
  while (!stop_) {
    if (hold_lease()) {
      refresh_pools();
      take_answers();
      for (auto& [name, pool] : pools_) {
        if (stop_ || !leads_) break;
        if (clock_.monotonic() >= pool->evaluate_at || gained_work(*pool)) evaluate(*pool);
        if (clock_.monotonic() >= renew_at_) break;
      }
    }
    std::unique_lock lock(mutex_);
    const auto wait = std::clamp<Millis>(next_due() - clock_.monotonic(), 0, 1'000);
    wake_.wait_for(lock, std::chrono::milliseconds(wait), [this] { return woken_ || stop_; });
    woken_ = false;
  }
  lose_lease("");
}

bool Scaler::hold_lease() {
  const auto now = clock_.monotonic();
  if (!leads_ && !pools_.empty()) lose_lease("another scaler has the lease");
  if (now < renew_at_) return leads_;
  const auto lease = hub_.lease(options_.holder, epoch_);
  if (lease) {
    if (!leads_) log::event(log::Level::info, "scaling", {{"epoch", lease->epoch}});
    epoch_ = lease->epoch;
    leads_ = true;
    said_.clear();
    renew_at_ = now + std::min(options_.renew_every, lease->ttl / 3);
    return true;
  }
  renew_at_ = now + options_.lease_retry;
  const auto kind = lease.error().kind;
  // While the hub is away the lease may last; whether it did, the hub says with the next write.
  if (leads_ && kind == HubTrouble::Kind::away) return true;
  lose_lease(lease.error().text);
  return false;
}

// Forgets everything: whoever leads now reads it from the book.
void Scaler::lose_lease(const std::string& why) {
  for (auto& [name, pool] : pools_)
    if (pool->provider) pool->provider->stop();
  for (auto& [name, pool] : pools_)
    if (pool->thread.joinable()) pool->thread.join();
  pools_.clear();
  pools_at_ = 0;
  epoch_.reset();
  leads_ = false;
  if (!why.empty() && why != said_) log::event(log::Level::info, "not scaling", {{"reason", why}});
  said_ = why;
}

void Scaler::refresh_pools() {
  if (clock_.monotonic() < pools_at_) return;
  pools_at_ = clock_.monotonic() + options_.pools_every;
  const auto names = hub_.pools();
  if (!names) return;
  const std::set<std::string> there(names->begin(), names->end());
  for (const auto& name : there)
    if (pools_.count(name) == 0)
      pools_.emplace(name, std::make_unique<PoolRun>(name, hub_, options_.make_decider, random_));
  std::erase_if(pools_, [&](auto& entry) {
    auto& pool = *entry.second;
    if (there.count(entry.first) != 0 || pool.keeper.calling()) return false;
    if (pool.thread.joinable()) pool.thread.join();
    return true;
  });
}

void Scaler::take_answers() {
  for (auto& [name, pool] : pools_) {
    {
      const std::lock_guard lock(mutex_);
      if (!std::exchange(pool->answered, false)) continue;
    }
    pool->thread.join();
    const auto due = *std::exchange(pool->due, std::nullopt);
    const auto end =
        pool->keeper.answered(epoch_.value_or(0), clock_.wall(), due, *std::exchange(pool->answer, std::nullopt));
    if (end == Evaluated::stale) return lose_lease("another scaler has the lease");
    pool->evaluate_at = clock_.monotonic();
  }
}

bool Scaler::gained_work(PoolRun& pool) {
  if (clock_.monotonic() < pool.need_at || pool.keeper.calling() || !pool.keeper.nothing_comes()) return false;
  pool.need_at = clock_.monotonic() + options_.need_every;
  const auto demand = hub_.demand(pool.keeper.name());
  return demand && demand->demand.runnable.jobs > 0;
}

// Made anew when the settings have changed, but not while it is called.
const Capabilities* Scaler::provider_of(PoolRun& run, const Pool& pool) {
  if (run.version != pool.version && !run.keeper.calling()) {
    auto made = options_.make_provider(pool);
    run.provider = made ? std::shared_ptr<Provider>(std::move(*made)) : nullptr;
    run.version = pool.version;
    if (made)
      run.capabilities = run.provider->capabilities();
    else
      log::event(log::Level::err, "the pool's provider cannot be used",
                 {{"pool", pool.name}, {"field", made.error().field}, {"error", made.error().message}});
  }
  return run.provider ? &run.capabilities : nullptr;
}

void Scaler::evaluate(PoolRun& pool) {
  std::optional<DueCall> due;
  const auto end = pool.keeper.evaluate(
      epoch_.value_or(0), clock_.wall(), [&](const Pool& settings) { return provider_of(pool, settings); }, due);
  pool.evaluate_at = clock_.monotonic() +
                     (end == Evaluated::hub_away ? std::min(kAgain, pool.keeper.interval()) : pool.keeper.interval());
  pool.need_at = clock_.monotonic() + options_.need_every;
  if (end == Evaluated::stale) {
    leads_ = false;  // the loop forgets the pools, and asks for the lease like anybody
    renew_at_ = clock_.monotonic();
    return;
  }
  if (due) call(pool, std::move(*due));
}

void Scaler::call(PoolRun& pool, DueCall due) {
  pool.due = std::move(due);
  pool.thread = std::thread([this, &pool, provider = pool.provider] {
    auto answer = make_call(*provider, *pool.due);
    const std::lock_guard lock(mutex_);
    pool.answer = std::move(answer);
    pool.answered = true;
    woken_ = true;
    wake_.notify_all();
  });
}

Millis Scaler::next_due() const {
  Millis next = renew_at_;
  if (!leads_) return next;
  next = std::min(next, pools_at_);
  for (const auto& [name, pool] : pools_) {
    next = std::min(next, pool->evaluate_at);
    if (!pool->keeper.calling() && pool->keeper.nothing_comes()) next = std::min(next, pool->need_at);
  }
  return next;
}

}  // namespace geres::scaler
