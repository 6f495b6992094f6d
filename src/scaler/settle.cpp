// SPDX-License-Identifier: Apache-2.0
// What a provider's answer means for the book and for what is asked of it next.
#include <algorithm>

#include "base/backoff.h"
#include "scaler/reconcile.h"
#include "scaler/short_text.h"

namespace geres::scaler {
namespace {

constexpr Millis kPauseFirst = 10'000, kPauseMost = 600'000;

Millis paused(Memory& memory, int tries) {
  return jittered(grown(tries, kPauseFirst, kPauseMost), memory.chance);
}

void fails(Memory& memory, Trouble& trouble, const Refusal& refusal, Millis now) {
  ++trouble.tries;
  trouble.until = now + std::max(std::min(refusal.retry_after, kPauseMost), paused(memory, trouble.tries));
  trouble.why = refusal.why;
  trouble.text = short_text(refusal.text);
}

void note(Memory& memory, const Pool& pool, const Refusal& refusal, bool order, Millis now) {
  switch (refusal.why) {
    case Why::unauthorized:
    case Why::invalid:
      memory.stopped_at = pool.version;
      memory.stopped_why = std::string(why_name(refusal.why)) + ": " + short_text(refusal.text);
      return;
    case Why::quota:
    case Why::capacity:
      return fails(memory, order ? memory.orders : memory.calls, refusal, now);
    case Why::throttled:
      return fails(memory, memory.calls, refusal, now);
    case Why::unknown:
      return fails(memory, order ? memory.orders : memory.calls, refusal, now);
  }
}

Intent settled(const Intent& intent, Stage stage, const std::optional<Refusal>& refusal = {}) {
  Intent after = intent;
  after.state = stage;
  after.issuedAt.reset();
  if (refusal) {
    after.refusal = IntentRefusal{std::string(why_name(refusal->why)), std::nullopt, short_text(refusal->text)};
    if (refusal->retry_after > 0) after.refusal->retryAfter = json::Duration{refusal->retry_after};
  }
  return after;
}

Stage stage_of(const Refusal& refusal) {
  if (refusal.maybe_done) return Stage::unknown;
  return refusal.why == Why::unknown ? Stage::failed : Stage::refused;
}

}  // namespace

Record settle_order(Memory& memory, const Pool& pool, const Intent& intent, const Told<Ordered>& told, Millis now) {
  Record record;
  if (!told) {
    note(memory, pool, told.error(), true, now);
    record.intents.push_back(settled(intent, stage_of(told.error()), told.error()));
    return record;
  }
  std::set<std::string> named;
  for (const auto& instance : told->instances)
    if (is_instance(instance) && named.insert(instance).second)
      record.machines.push_back({instance, Life::ordered, intent.request, std::nullopt, std::nullopt});
  const auto asked = intent.count.value_or(0);
  const auto accepted = std::clamp<std::int64_t>(told->accepted, std::int64_t(named.size()),
                                                 std::max<std::int64_t>(asked, std::int64_t(named.size())));
  auto refusal = told->refusal;
  if (!refusal && accepted == 0) refusal = Refusal{Why::capacity, 0, "it accepted none, and said nothing", false};
  if (refusal)
    note(memory, pool, *refusal, true, now);
  else
    memory.orders = Trouble();
  memory.calls = Trouble();
  // Those without a name yet are expected until a list names them.
  const bool named_later = accepted > std::int64_t(named.size());
  auto after = settled(intent, named_later ? Stage::unknown : accepted > 0 ? Stage::done : Stage::refused, refusal);
  if (accepted > 0) after.count = accepted;
  record.intents.push_back(std::move(after));
  return record;
}

Record settle_removal(Memory& memory, const Pool& pool, const Intent& intent, const Told<std::vector<Removed>>& told,
                      Millis now) {
  Record record;
  const auto again = [&](const std::string& instance) {
    auto& removal = memory.removals[instance];
    ++removal.tries;
    removal.at = now + paused(memory, removal.tries);
  };
  const auto instances = intent.instances.value_or(std::vector<std::string>());
  if (!told) {
    note(memory, pool, told.error(), false, now);
    if (!told.error().maybe_done)
      for (const auto& instance : instances) again(instance);
    record.intents.push_back(settled(intent, stage_of(told.error()), told.error()));
    return record;
  }
  memory.calls = Trouble();
  std::optional<Refusal> failed;
  for (const auto& instance : instances) {
    const auto said =
        std::find_if(told->begin(), told->end(), [&](const Removed& removed) { return removed.instance == instance; });
    if (said != told->end() && said->outcome != Removed::Outcome::failed) {
      record.machines.push_back({instance, Life::gone, std::nullopt, std::nullopt, std::nullopt});
      memory.removed[instance] = now;
      memory.removals.erase(instance);
      continue;
    }
    failed = Refusal{Why::unknown, 0, said == told->end() ? "it said nothing of " + instance : said->text, false};
    again(instance);
  }
  // There may be room again for what was refused for want of it.
  if (!record.machines.empty() && (memory.orders.why == Why::quota || memory.orders.why == Why::capacity))
    memory.orders = Trouble();
  record.intents.push_back(settled(intent, failed ? Stage::failed : Stage::done, failed));
  return record;
}

Record settle_waking(Memory& memory, const Pool& pool, const Intent& intent, const Told<std::vector<Removed>>& told,
                     Millis now) {
  Record record;
  if (!told) {
    note(memory, pool, told.error(), true, now);
    record.intents.push_back(settled(intent, stage_of(told.error()), told.error()));
    return record;
  }
  memory.calls = Trouble();
  std::optional<Refusal> failed;
  for (const auto& woken : *told) {
    if (woken.outcome == Removed::Outcome::removed)
      memory.woken[woken.instance] = now,
      record.machines.push_back({woken.instance, Life::booting, intent.request, std::nullopt, std::nullopt});
    else
      failed = Refusal{Why::unknown, 0, woken.text, false};
  }
  if (failed) note(memory, pool, *failed, true, now);
  record.intents.push_back(settled(intent, failed ? Stage::failed : Stage::done, failed));
  return record;
}

void settle_list(Memory& memory, const Pool& pool, const Told<std::vector<Machine>>& told, Millis now) {
  if (told)
    memory.calls = Trouble();
  else
    note(memory, pool, told.error(), false, now);
}
}  // namespace geres::scaler
