// SPDX-License-Identifier: Apache-2.0
#include "scaler/keeper.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "scaler/policies.h"

namespace geres::scaler {
namespace {

constexpr std::size_t kPastMax = 60;
constexpr std::size_t kHistoryMax = 4'000;
constexpr Millis kHistoryTime = 24 * 3'600'000;

json::value input_of(const policy::Demand& demand, const policy::HostCounts& hosts) {
  const auto text = policy::Json::object()
                        .set("demand", policy::write_demand(demand))
                        .set("hosts", policy::write_hosts(hosts))
                        .write();
  return json::parse(text).value();
}

bool went_out(const Changes& changes) {
  return changes.order + changes.resume + changes.wake > 0;
}

}  // namespace

Keeper::Keeper(std::string pool, Hub& hub, MakeDecider make_decider, Random& random, std::uint32_t seed)
    : pool_(std::move(pool)), hub_(hub), make_decider_(std::move(make_decider)), random_(random), memory_(seed) {}

std::string Keeper::new_request() {
  return random_name(random_).str();
}

Evaluated Keeper::trouble(const char* what, const HubTrouble& trouble) {
  log::event(log::Level::warn, "hub did not take a call of the scaler",
             {{"pool", pool_}, {"call", what}, {"error", trouble.text}});
  return trouble.kind == HubTrouble::Kind::stale ? Evaluated::stale : Evaluated::hub_away;
}

// Each time that something else is strange.
void Keeper::say(const std::vector<std::string>& notes, bool listed) {
  std::string text;
  for (const auto& note : notes) text += (text.empty() ? "" : "; ") + note;
  if (text.empty() && !listed) return;
  if (text != noted_ && !text.empty())
    log::event(log::Level::warn, "something is strange about a pool", {{"pool", pool_}, {"notes", text}});
  noted_ = text;
}

// What earlier scalers decided.
void Keeper::remember(const Book& book) {
  if (std::exchange(remembered_, true)) return;
  for (const auto& decision : book.decisions) {
    if (!decision.at) continue;
    history_.push_back({decision.at->at, decision.raw});
    last_raw_ = decision.raw;
    if (went_out(decision.changes)) last_out_ = decision.at->at;
    if (decision.changes.drain > 0) last_in_ = decision.at->at;
    const auto input = policy::Json::parse(boost::json::serialize(decision.input));
    past_.push_back(
        {decision.at->at, policy::read_demand(input["demand"]), policy::read_hosts(input["hosts"]), decision.wanted});
  }
}

Keeper::Made Keeper::decide(const Book& book, const policy::Load& load, Millis now) {
  const auto& pool = book.pool;
  if (pool.by_hand && now < pool.by_hand->until)
    return {{pool.by_hand->wanted, "by hand until " + format_time(pool.by_hand->until)}, true, false};
  if (!decider_version_ || *decider_version_ != pool.version) {
    decider_.reset();
    decider_trouble_.clear();
    auto made = make_decider_(pool);
    if (made)
      decider_ = std::move(*made);
    else
      decider_trouble_ = made.error().field + ": " + made.error().message;
    decider_version_ = pool.version;
  }
  std::string why = decider_trouble_;
  if (decider_) {
    auto wanted = decider_->decide(load);
    if (wanted) return {std::move(*wanted), false, false};
    why = wanted.error().message;
  }
  return {{last_raw_.value_or(load.hosts.ready + load.hosts.booting), "policy failed: " + why}, false, true};
}

// Outcomes first, in their order: what follows is decided from the book.
bool Keeper::flush(std::int64_t epoch, Evaluated& end) {
  while (!unwritten_.empty()) {
    const auto written = hub_.record(pool_, epoch, unwritten_.front());
    if (!written &&
        (written.error().kind == HubTrouble::Kind::away || written.error().kind == HubTrouble::Kind::stale)) {
      end = trouble("record", written.error());
      return false;
    }
    if (!written) trouble("record", written.error());  // and would be refused again
    unwritten_.erase(unwritten_.begin());
  }
  return true;
}

// A removal that the hub's fence refuses is left out, and the rest written.
Evaluated Keeper::write(std::int64_t epoch, Record record, Actions& actions, std::optional<Intent>& intent) {
  if (intent) record.intents.push_back(*intent);
  auto written = hub_.record(pool_, epoch, record);
  if (!written && written.error().kind == HubTrouble::Kind::busy && intent && intent->verb == Verb::remove) {
    log::event(log::Level::info, "removal put off", {{"pool", pool_}, {"reason", written.error().text}});
    record.intents.pop_back();
    if (record.decision) record.decision->changes.remove = 0;
    actions.call.reset();
    actions.changes.remove = 0;
    intent.reset();
    written = hub_.record(pool_, epoch, record);
  }
  return written ? Evaluated::done : trouble("record", written.error());
}

Evaluated Keeper::apply(std::int64_t epoch, const Actions& actions, const std::string& reason) {
  if (!actions.resume.empty())
    if (const auto done = hub_.resume(actions.resume, epoch); !done) return trouble("resume", done.error());
  if (!actions.drain.empty())
    if (const auto done = hub_.drain(actions.drain, epoch, reason); !done) return trouble("drain", done.error());
  for (const auto& host : actions.retire) {
    const auto done = hub_.retire(host, epoch);
    if (!done && done.error().kind != HubTrouble::Kind::busy && done.error().kind != HubTrouble::Kind::refused)
      return trouble("retire", done.error());
  }
  return Evaluated::done;
}

Evaluated Keeper::evaluate(std::int64_t epoch, Millis now, const ProviderOf& provider_of, std::optional<DueCall>& due) {
  due.reset();
  Evaluated end = Evaluated::done;
  if (!flush(epoch, end)) return end;
  auto book = hub_.book(pool_);
  if (!book) return trouble("book", book.error());
  auto demand = hub_.demand(pool_);
  if (!demand) return trouble("demand", demand.error());
  const auto& pool = book->pool;
  interval_ = pool.limits.interval;
  remember(*book);

  static const Capabilities nothing;
  const auto* provider = provider_of(pool);
  const auto& capabilities = provider != nullptr ? *provider : nothing;
  const std::string* calling = calling_ && !calling_->empty() ? &*calling_ : nullptr;
  auto view = look(memory_, {*book, capabilities, fresh_ ? &*fresh_ : nullptr, calling, now});
  say(view.notes, fresh_.has_value());
  fresh_.reset();

  view.hosts.unmanaged = demand->unmanaged;
  PlanInput planning;
  planning.load = {
      now,
      {pool.name, pool.what.slots, pool.what.memory_bytes, pool.limits.minimum, pool.limits.maximum, usual_boot(*book)},
      demand->demand,
      view.hosts,
      past_};
  const auto made = decide(*book, planning.load, now);
  planning.limits = pool.limits;
  planning.raw = made.raw;
  planning.follows_work = follows_work(pool.policy);
  planning.by_hand = made.by_hand;
  planning.paused = pool.paused;
  planning.history = history_;
  planning.last_out = last_out_, planning.last_in = last_in_;
  planning.hold = view.hold;
  if (provider == nullptr) planning.hold = {true, true, "no provider"};
  const auto planned = plan(planning);

  Actions actions;
  if (!pool.observe) {
    actions = act(memory_, view, {pool, capabilities, planned.wanted, calling_.has_value(), now});
    if (provider == nullptr) actions.call.reset();
  }
  nothing_comes_ = !pool.observe && !pool.paused && !view.hold.out && view.hosts.booting == 0 &&
                   planned.actual < pool.limits.maximum && demand->demand.runnable.jobs == 0;

  std::optional<Intent> intent;
  DueCall next;
  if (actions.call) {
    next.call = *actions.call;
    next.pool = pool;
    next.begun = now;
    if (next.call.kind != Call::Kind::list) {
      intent.emplace();
      intent->request = new_request();
      intent->verb = next.call.kind == Call::Kind::order    ? Verb::order
                     : next.call.kind == Call::Kind::remove ? Verb::remove
                                                            : Verb::wake;
      if (next.call.kind == Call::Kind::order)
        intent->count = next.call.count;
      else
        intent->instances = next.call.instances;
    }
    if (next.call.kind == Call::Kind::order) {
      auto token = hub_.join_token(pool_, epoch, intent->request);
      if (!token) return trouble("joinToken", token.error());
      next.order = {intent->request, next.call.count, std::move(*token)};
    }
  }

  Record record = std::move(view.record);
  if (pool.observe) record = Record();
  record.decision.emplace();
  record.decision->input = input_of(demand->demand, view.hosts);
  record.decision->policy = pool.policy;
  record.decision->raw = made.raw.hosts;
  record.decision->wanted = planned.wanted;
  record.decision->actual = planned.actual;
  record.decision->changes = actions.changes;
  record.decision->reason = planned.reason;
  record.decision->outcome = made.failed                            ? "policyFailed"
                             : pool.observe                         ? "observed"
                             : view.hold.out || provider == nullptr ? "providerHeld"
                                                                    : "ok";
  const auto written = write(epoch, std::move(record), actions, intent);
  if (written != Evaluated::done) return written;

  if (!made.by_hand) {
    history_.push_back({now, made.raw.hosts});
    last_raw_ = made.raw.hosts;
    if (history_.size() > kHistoryMax) history_.erase(history_.begin(), history_.begin() + kHistoryMax / 2);
    std::erase_if(history_, [&](const Answered& answered) { return now - answered.at > kHistoryTime; });
  }
  past_.push_back({now, demand->demand, view.hosts, planned.wanted});
  if (past_.size() > kPastMax) past_.erase(past_.begin());
  if (went_out(actions.changes)) last_out_ = now;
  if (actions.changes.drain > 0) last_in_ = now;

  if (actions.call) {
    next.intent = intent.value_or(Intent());
    calling_ = next.intent.request;
    due = std::move(next);
  }
  return apply(epoch, actions, planned.reason);
}

Evaluated Keeper::answered(std::int64_t epoch, Millis now, const DueCall& due, CallAnswer answer) {
  calling_.reset();
  if (const auto* list = std::get_if<Told<std::vector<Machine>>>(&answer)) {
    settle_list(memory_, due.pool, *list, now);
    if (*list) fresh_ = Listing{due.begun, **list};
    return Evaluated::done;
  }
  if (const auto* ordered = std::get_if<Told<Ordered>>(&answer))
    unwritten_.push_back(settle_order(memory_, due.pool, due.intent, *ordered, now));
  else if (due.intent.verb == Verb::wake)
    unwritten_.push_back(
        settle_waking(memory_, due.pool, due.intent, std::get<Told<std::vector<Removed>>>(answer), now));
  else
    unwritten_.push_back(
        settle_removal(memory_, due.pool, due.intent, std::get<Told<std::vector<Removed>>>(answer), now));
  Evaluated end = Evaluated::done;
  flush(epoch, end);
  return end;
}

}  // namespace geres::scaler
