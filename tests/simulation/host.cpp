// SPDX-License-Identifier: Apache-2.0
// The agent: joining, fetching, going away. host_report.cpp has the reports, host_run.cpp the runner.
#include "simulation/host.h"

#include <fmt/format.h>

#include "hub/engine/state.h"

namespace geres::simulation {

using hub::engine::FetchAnswer;
using model::Outcome;

namespace {

constexpr Millis kAnswerSlack = 3'000;  // beyond the wait: then the connection counts as dead
constexpr Millis kRepeatMax = 2'000;    // an older call asks for nothing new
constexpr std::size_t kCallsMax = 3;
constexpr Millis kTakes = 3'000;  // a host whose last request for jobs is older may be stuck, to its hub

}  // namespace

Host::Host(Timeline& timeline, Dice& dice, const Plan& plan, Ledger& ledger, Network& network, Hub& hub, Trace& trace,
           Dice& join_dice, HostKind kind)
    : timeline_(timeline),
      dice_(dice),
      plan_(plan),
      ledger_(ledger),
      network_(network),
      hub_(hub),
      trace_(trace),
      kind_(std::move(kind)),
      joiner_(join_dice, ledger, hub, kind_.join_token),
      drift_{kind_.rate} {}

void Host::agent(Millis delay, Timeline::Act act) {
  timeline_.after(delay, [this, life = life_, act = std::move(act)] {
    if (life != life_ || !up_) return;
    if (timeline_.now() < frozen_until_) return agent(frozen_until_ - timeline_.now(), act);
    act();
  });
}

// ---- lives ----------------------------------------------------------------------------------------------------------

void Host::boot() {
  if (up_ || powerless_) return;
  up_ = true;
  ++life_;
  enrolled_ = leaving_ = goodbye_said_ = false;
  mode_ = model::HostMode::run;
  calls_.clear();
  flight_.reset();
  fetched_id_.clear();
  trace_("host {} boots", kind_.name);
  enrol();
}

void Host::crash(Millis down) {
  if (!up_) return;
  trace_("host {} crashes", kind_.name);
  up_ = false;
  ++life_;
  for (auto& [lease, attempt] : attempts_) end_run(attempt), ledger_.lets_go(attempt.job, attempt.attempt);
  attempts_.clear();
  frozen_until_ = 0;
  ledger_.hit(Path::host_crashed);
  if (!healed_ && dice_.percent(25)) {  // with its disk: another machine takes its place
    last_id_ = {};
    kind_.name += "x";
    joiner_.lose_disk();
  }
  timeline_.after(down, [this] { boot(); });
}

void Host::take_power() {
  trace_("machine {} of host {} is removed", kind_.instance, kind_.name);
  powerless_ = true;
  if (!up_) return;
  up_ = false;
  ++life_;
  for (auto& [lease, attempt] : attempts_) end_run(attempt), ledger_.lets_go(attempt.job, attempt.attempt);
  attempts_.clear();
  frozen_until_ = 0;
}

void Host::become(const std::string& instance) {
  powerless_ = false;
  last_id_ = {};
  kind_.name += "n";
  joiner_.lose_disk();
  kind_.instance = instance;
  boot();
}

void Host::freeze(Millis time) {
  if (!up_) return;
  trace_("host {}'s agent freezes for {}", kind_.name, time);
  ledger_.hit(Path::host_frozen);
  frozen_until_ = timeline_.now() + time;
}

void Host::sicken(Millis time, bool tiny) {
  trace_("host {} cannot start jobs for {}", kind_.name, time);
  sick_until_ = timeline_.now() + time;
  tiny_ = tiny;
}

bool Host::serves(const model::Requirements& needs) {
  if (!up_ || !enrolled_ || leaving_ || sick_until_ > 0 || needs.slots > kind_.slots) return false;
  for (const auto& [name, value] : needs.labels) {
    const auto own = kind_.labels.find(name);
    if (own == kind_.labels.end() || own->second != value) return false;
  }
  if (hub_.engine().waits_for_store()) return false;
  const auto& hosts = hub_.engine().state().hosts;
  const auto known = hosts.find(id_);
  return known != hosts.end() && !known->second.lost && known->second.row.mode == model::HostMode::run &&
         known->second.health.state() == model::Health::well && !known->second.let_a_lease_run_out &&
         hub_.clock().monotonic() - known->second.last_took < kTakes;
}

void Host::leave(Millis away) {
  if (!up_ || !enrolled_ || leaving_) return;
  trace_("host {} leaves", kind_.name);
  leaving_ = true;
  away_ = away;
  for (auto& [lease, attempt] : attempts_) {
    if (attempt.phase == Phase::preparing) finish_without_run(attempt, Outcome::released);
    if (attempt.phase == Phase::running) stop_run(attempt, dice_.between(50, 800), Outcome::released);
  }
  report_within(10);
}

void Host::heal() {
  healed_ = true;
  frozen_until_ = std::min(frozen_until_, timeline_.now());
  link = {};
}

// ---- joining --------------------------------------------------------------------------------------------------------

void Host::enrol() {
  if (enrolled_) return;  // an answer that came first
  hub::engine::RegisterHost wanted;
  wanted.host.name = kind_.name;
  wanted.host.slots = kind_.slots;
  wanted.host.labels = kind_.labels;
  wanted.host.memory = plan_.host_memory;
  if (!kind_.instance.empty()) wanted.host.pool = "pool", wanted.host.instance = kind_.instance;
  if (last_id_) wanted.replaces = last_id_;
  const auto by = joiner_.proof();
  wanted.join_token = by.join_token;
  wanted.joining = by.joining;
  wanted.change = by.change;
  if (by.join_token) wanted.host.secret_sha256 = joiner_.draw_secret();
  const auto try_no = ++boots_;
  const auto tell = [this, life = life_, try_no, by, secret = wanted.host.secret_sha256](Result<model::Host> answer) {
    network_.down(link, hub_.held_up(), [=, this] {
      if (life == life_ && try_no == boots_ && up_) agent(0, [=, this] { enrolled(answer, by, secret); });
    });
  };
  network_.up(link, [this, by, wanted, tell] {
    hub_.receive([this, by, wanted, tell](Engine& engine) mutable {
      if (!by.secret.empty() && engine.waits_for_store()) return;  // as any answer that is lost
      if (!by.secret.empty()) wanted.enrolment = joiner_.admit(engine, by.secret);
      if (!by.secret.empty() && !wanted.enrolment) return tell(fail(Code::unauthenticated, "not known"));
      engine.ask(wanted, hub_.answer<model::Host>([this, by, wanted, tell](Result<model::Host>& answer) {
        if (answer) joiner_.let_in(by);
        if (answer && wanted.replaces) ledger_.hit(Path::host_replaced);
        if (answer && ledger_.scaling.names_stay && ledger_.scaling.drained_names.contains(wanted.host.name)) {
          ledger_.hit(Path::drained_host_came_back);
          if (answer->mode == model::HostMode::run)
            ledger_.violate("drain", fmt::format("host {} was drained, came back, and takes jobs", wanted.host.name));
        }
        tell(answer);
      }));
    });
  });
  agent(2'000, [this, try_no] {
    if (!enrolled_ && try_no == boots_) enrol();
  });
}

void Host::enrolled(const Result<model::Host>& answer, const Proof& by, const std::string& secret) {
  if (enrolled_) return;
  if (!answer) {
    const auto code = answer.error().code;
    if (code == Code::hostAlive) ledger_.hit(Path::host_name_taken);
    if (joiner_.refused(by, code)) kind_.name += "j";
    ++boots_;
    return agent(500, [this] { enrol(); });
  }
  joiner_.joined(by, secret);
  enrolled_ = true;
  id_ = last_id_ = answer->id;
  ledger_.sick.host_joined(kind_.name);
  seq_ = 0;
  trace_("host {} is {}", kind_.name, brief(id_));
  report_within(0);
  // The clock may jump by more than an hour, after which an earlier secret is over.
  if (joiner_.has_secret() && !plan_.wall_jumps) renew_secret_within(2'000);
  turn();
}

void Host::renew_secret_within(Millis time) {
  agent(time, [this] { renew_secret(); });
}

// The new one counts once its answer is here; the next call with it ends the one before.
void Host::renew_secret() {
  if (!enrolled_ || healed_) return;
  const hub::engine::RenewHostSecret verb{id_, joiner_.secret(), joiner_.draw_secret(), joiner_.next_change()};
  network_.up(link, [this, life = life_, verb] {
    hub_.receive([this, life, verb](Engine& engine) {
      if (!joiner_.admit(engine, verb.presented)) return;
      engine.ask(verb, hub_.answer<bool>([this, life, verb](Result<bool>& done) {
        network_.down(link, hub_.held_up(), [this, life, verb, good = bool(done)] {
          if (good && life == life_ && up_) agent(0, [this, verb] { joiner_.renewed(verb.change, verb.sha256); });
        });
      }));
    });
  });
  renew_secret_within(1'500);
}

void Host::gone() {
  if (!enrolled_) return;
  trace_("host {} is not known any more", kind_.name);
  ledger_.hit(Path::host_gone);
  enrolled_ = false;
  ++life_;
  for (auto& [lease, attempt] : attempts_) end_run(attempt), ledger_.lets_go(attempt.job, attempt.attempt);
  attempts_.clear();
  calls_.clear();
  flight_.reset();
  fetched_id_.clear();
  if (leaving_) {
    up_ = false;
    return timeline_.after(away_, [this] { boot(); });
  }
  enrol();
}

// ---- fetching -------------------------------------------------------------------------------------------------------

int Host::free_slots() const {
  int used = 0;
  for (const auto& [lease, attempt] : attempts_)
    if (attempt.phase != Phase::ended) used += attempt.slots;
  return std::max(0, kind_.slots - used);
}

int Host::slots_to_name() const {
  if (leaving_ || mode_ != model::HostMode::run) return 0;
  return kind_.first_version ? free_slots() : kind_.slots;
}

void Host::turn() {
  if (!enrolled_ || goodbye_said_) return;
  const int wanted = slots_to_name();
  if (calls_.empty() || calls_.back().settled) return open_fetch();
  const auto& newest = calls_.back();
  const bool outgrown = newest.slots < wanted || (newest.slots > 0 && wanted == 0);
  if (outgrown && newest.flying && calls_.size() < kCallsMax) open_fetch();
}

void Host::open_fetch() {
  const int wanted = slots_to_name();
  calls_.push_back({fmt::format("{}-{}", kind_.name, ++fetch_count_), wanted});
  send_fetch(calls_.back());
}

void Host::send_fetch(FetchCall& call) {
  // Leases count from the first try. So an old call only asks what it was granted then.
  const bool old = call.first_sent >= 0 && local() - call.first_sent > kRepeatMax;
  const bool asks = &call == &calls_.back() && !old;
  hub::engine::FetchCall body{id_, call.id, asks ? call.slots : 0, asks ? plan_.fetch_wait : 0, 0};
  if (call.first_sent < 0) call.first_sent = local();
  call.flying = true;
  if (++call.tries > 1) ledger_.hit(Path::fetch_repeated);
  const int try_no = call.tries;
  const auto id = call.id;
  const auto mine = [this, id, try_no](int life) -> FetchCall* {
    if (life != life_ || !up_) return nullptr;
    for (auto& one : calls_)
      if (one.id == id && one.tries == try_no && one.flying) return &one;
    return nullptr;
  };
  network_.up(link, [this, life = life_, body, mine, secret = joiner_.secret()] {
    hub_.receive([this, life, body, mine, secret](Engine& engine) mutable {
      if (!secret.empty() && !joiner_.admit(engine, secret)) return;  // sent again, with the newer one
      body.received_at = hub_.clock().monotonic();
      trace_("hub takes fetch {} for {} slots", body.fetch_id, body.slots);
      engine.ask(body, hub_.answer<FetchAnswer>([this, life, host = body.host, id = body.fetch_id,
                                                 mine](Result<FetchAnswer>& answer) {
        // A copy that was on its way for long is of no use to its host, nor of harm.
        const bool awaited =
            std::any_of(calls_.begin(), calls_.end(), [&](const auto& call) { return call.id == id && !call.settled; });
        if (answer && awaited) ledger_.fetch_answered(host, id, *answer, hub_.engine().state());
        trace_("hub answers fetch {} with {}, held {}", id,
               answer ? fmt::format("{} leases", answer->leases.size()) : "an error", answer ? answer->held : 0);
        network_.down(link, hub_.held_up(), [this, life, id, mine, answer] {
          if (mine(life) == nullptr) return;
          agent(0, [this, id, mine, life, answer] {
            if (mine(life) != nullptr) fetched(id, answer);
          });
        });
      }));
    });
  });
  agent(body.wait + kAnswerSlack, [this, mine, life = life_] {
    if (auto* call = mine(life)) send_fetch(*call);
  });
}

void Host::fetched(const std::string& id, const Result<FetchAnswer>& answer) {
  const auto call = std::find_if(calls_.begin(), calls_.end(), [&](const auto& one) { return one.id == id; });
  call->flying = false;
  if (!answer) {
    if (answer.error().code == Code::hostGone) return gone();
    return agent(dice_.between(50, 400), [this, id] {
      for (auto& one : calls_)
        if (one.id == id && !one.flying && !one.settled) return send_fetch(one);
    });
  }
  call->settled = true;
  const Millis counted_from = call->first_sent + answer->held;
  if (call->tries > 1 && !answer->leases.empty()) ledger_.hit(Path::fetch_same_leases_again);
  while (!calls_.empty() && calls_.front().settled) {
    fetched_id_ = calls_.front().id;
    calls_.pop_front();
  }
  for (const auto& granted : answer->leases) take_lease(granted, counted_from);
  take_orders(answer->cancel, answer->mode);
  // A hub that answers at once, again and again, is not asked in a tight loop.
  agent(answer->leases.empty() ? 20 : 0, [this] { turn(); });
}

void Host::take_lease(const hub::engine::Granted& granted, Millis counted_from) {
  const auto& row = granted.lease;
  ledger_.lease_heard(row.name, row.job, row.attempt);
  const auto memory = model::memory_of(granted.job);
  ledger_.memory.granted(row.job, row.attempt, memory);
  if (attempts_.contains(row.name)) return;
  Attempt attempt;
  attempt.lease = row.name;
  attempt.job = row.job;
  attempt.attempt = row.attempt;
  attempt.slots = granted.job.spec.requirements.slots;
  attempt.memory = memory > 0 ? memory : HungryJobs::kUsual;
  attempt.behaviour = granted.job.spec.parameters;
  attempt.ttl = row.ttl;
  attempt.deadline = lease_end(counted_from, row.ttl);
  trace_("host {} hears lease {} for job {} attempt {}", kind_.name, brief(row.name), brief(row.job), row.attempt);
  if (attempt.deadline <= local()) {
    ledger_.hit(Path::lease_came_too_late);
    return report_within(0);
  }
  if (leaving_) {
    finish_without_run(attempts_.emplace(row.name, attempt).first->second, Outcome::released);
    return;
  }
  attempts_.emplace(row.name, attempt);
  holds(attempt);
  // Now and then a package must be fetched first.
  agent(!healed_ && dice_.percent(3) ? dice_.between(500, 8'000) : dice_.between(0, 15),
        [this, lease = row.name] { run(lease); });
  report_within(attempt.ttl / 4);
}

void Host::take_orders(const std::vector<hub::engine::CancelOrder>& cancels, model::HostMode mode) {
  for (const auto& order : cancels) {
    const auto found = attempts_.find(order.lease);
    if (found == attempts_.end()) continue;
    auto& attempt = found->second;
    attempt.cancel_heard = true;
    if (attempt.phase == Phase::preparing) finish_without_run(attempt, Outcome::cancelled);
    if (attempt.phase == Phase::running)
      stop_run(attempt, dice_.between(1, std::max<Millis>(order.grace, 2)), Outcome::cancelled);
  }
  if (mode == mode_) return;
  mode_ = mode;
  if (mode == model::HostMode::drain) ledger_.hit(Path::host_drained);
  if (mode == model::HostMode::stop) leave(dice_.between(200, 3'000));
  agent(0, [this] { turn(); });
}

}  // namespace geres::simulation
