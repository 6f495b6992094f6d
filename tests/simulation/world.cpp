// SPDX-License-Identifier: Apache-2.0
#include "simulation/world.h"

#include <fmt/format.h>

#include "hub/engine/state.h"
#include "simulation/final_checks.h"

namespace geres::simulation {

namespace {

// After the last trouble. A host may wait for a minute on a connection that is dead, and a job that nobody else could
// start then pauses for another.
constexpr Millis kSettle = 180'000;
constexpr Millis kRetentionPasses = 9'000;
constexpr std::uint64_t kStepsMax = 3'000'000;
constexpr std::uint64_t kStepsBetweenLooks = 16;
constexpr std::uint64_t kScalerDice = 0x5ca1'e5ca'1e5c'a1e5;
constexpr std::uint64_t kMemoryDice = 0xb17e'b17e'b17e'b17e;
constexpr std::uint64_t kJoinDice = 0x3a17'3a17'3a17'3a17;
constexpr std::int64_t kGiB = 1ll << 30;

}  // namespace

World::World(std::uint64_t seed, bool traced)
    : dice_(seed),
      scaler_dice_(seed ^ kScalerDice),
      memory_dice_(seed ^ kMemoryDice),
      join_dice_(seed ^ kJoinDice),
      plan_(dice_),
      scaled_(!plan_.fair && scaler_dice_.percent(25)),
      trace_(timeline_, traced),
      network_(timeline_, dice_, plan_, ledger_),
      hub_(timeline_, dice_, plan_, ledger_, trace_) {
  if (!plan_.fair && memory_dice_.percent(25)) plan_.host_memory = memory_dice_.between(4, 12) * kGiB;
}

Verdict World::run() {
  set_up();
  const Millis heal_at = timeline_.now() + plan_.busy;
  while (timeline_.now() < heal_at && step()) {
  }
  if (!ledger_.violation) heal();
  settle();
  if (plan_.retention) {
    // What is past its time goes. What was still on its way comes, maybe after its key was forgotten: work again.
    const Millis until = timeline_.now() + kRetentionPasses;
    while (timeline_.now() < until && step()) {
    }
    settle();
  }
  if (!ledger_.violation) last_things();
  return {ledger_.violation, ledger_.paths, trace_.lines(), timeline_.steps(), timeline_.now()};
}

// False when a promise is broken: then nothing more is to be learned.
bool World::step() {
  if (!ledger_.violation && !timeline_.step()) ledger_.violate("I8", "nothing moves any more: " + what_is_left());
  return !ledger_.violation;
}

// Until there is nothing left to do.
void World::settle() {
  const Millis until = timeline_.now() + kSettle;
  while (step()) {
    if (timeline_.steps() % kStepsBetweenLooks != 0) continue;
    if (settled()) return;
    if (timeline_.now() > until || timeline_.steps() > kStepsMax) ledger_.violate("I8", what_is_left());
  }
}

// ---- set up ---------------------------------------------------------------------------------------------------------

void World::set_up() {
  ledger_.fair.judged = plan_.fair;
  ledger_.fair.duration_guess = plan_.duration_guess;
  ledger_.scaling.names_stay = !scaled_;
  ledger_.memory.of_hosts = plan_.host_memory;
  ledger_.memory.lanes_enough = plan_.lanes_max > 100;
  ledger_.sick.unstarted_max = plan_.unstarted_max;
  ledger_.sick.wall_jumps = plan_.wall_jumps;
  ledger_.sick.slow_ticks = plan_.slow_disk || plan_.full_disk || plan_.refusals || plan_.unknowns || plan_.disk_errors;
  // A dedicated batch may keep a host to itself; and where there is no room for one more lane, a job avoids nobody.
  // After a commit of unknown outcome the hub takes all hosts for alive again, which it did not as it granted.
  if (!plan_.batches && plan_.lanes_max > 100 && !plan_.unknowns)
    ledger_.sick.another_fits = [this](Uuid job, const auto& hosts) { return another_fits(job, hosts); };
  hub_.start();
  set_up_tenants();
  set_up_hosts();
  if (scaled_) set_up_scalers();
  set_up_trouble();
  for (auto& host : hosts_)
    if (host != hosts_.back()) timeline_.after(dice_.between(0, 300), [&host] { host->boot(); });
  for (auto& client : clients_) client->start();
}

// Before any trouble, so it is done in one go.
void World::set_up_tenants() {
  auto& engine = hub_.engine();
  const hub::engine::Caller admin{"admin", true, true, {}};
  int jobs_left = plan_.jobs;
  for (int i = 0; i < plan_.tenants; ++i) {
    const auto name = fmt::format("t{}", i);
    auto& record = ledger_.tenants[name];
    hub::engine::TenantSettings settings;
    settings.weight = record.weight = dice_.percent(50) ? 1 : double(dice_.between(1, 4));
    if (plan_.limits && dice_.percent(50)) settings.max_running = record.max_running = int(dice_.between(1, 4));
    ledger_.fair.add_tenant(name, record.weight, record.max_running);
    if (plan_.limits && dice_.percent(30)) settings.max_queued = dice_.between(5, 30);
    if (plan_.host_memory > 0 && memory_dice_.percent(40))
      settings.max_memory_per_job = ledger_.memory.of_tenants[name] = memory_dice_.between(2, 8) * kGiB;
    engine.ask(hub::engine::PutTenant{name, settings}, [](auto) {});
    model::PackageVersion package;
    package.tenant = name;
    package.name = "tools";
    package.sha256 = std::string(64, 'c');
    package.types = {"Work", "Other"};
    engine.ask(hub::engine::PutPackage{package}, [](auto) {});
    const int share = i + 1 == plan_.tenants ? jobs_left : int(dice_.draw(std::uint64_t(jobs_left) + 1));
    jobs_left -= share;
    clients_.push_back(std::make_unique<Client>(timeline_, dice_, plan_, ledger_, network_, hub_, trace_, name, share));
    for (int b = 0; plan_.batches && b < 2; ++b) {
      hub::engine::NewBatch batch{name, fmt::format("b{}", b), dice_.between(300, 700), dice_.percent(15), 0};
      if (plan_.limits && dice_.percent(50)) batch.max_running = int(dice_.between(1, 3));
      engine.ask(hub::engine::CreateBatch{admin, batch}, [this](const Result<model::Batch>& made) {
        ledger_.batches[made->id] = {made->tenant, made->name, made->max_running};
        operators_.push_back(std::make_unique<Client>(timeline_, dice_, plan_, ledger_, network_, hub_, trace_, "", 0));
      });
      clients_.back()->batches.push_back(batch.name);
    }
  }
  while (engine.until_next() == 0) timeline_.step();
}

// For fewer hosts than are told of it, or for all.
std::optional<Uuid> World::invitation() {
  if (!join_dice_.percent(50)) return std::nullopt;
  hub::engine::Invite verb;
  verb.token.sha256 = std::string(64, 'd');
  verb.token.expires = hub_.clock().wall() + 3'600'000;
  verb.token.uses = int(join_dice_.between(1, plan_.hosts));
  std::optional<Uuid> token;
  auto& engine = hub_.engine();
  engine.ask(verb, [&token](const Result<model::JoinToken>& made) { token = made->id; });
  while (engine.until_next() == 0) timeline_.step();
  ledger_.join_tokens[*token].uses = verb.token.uses;
  return token;
}

void World::set_up_hosts() {
  const auto token = invitation();
  for (int i = 0; i <= plan_.hosts; ++i) {
    HostKind kind;
    const bool last = i == plan_.hosts;
    kind.name = last ? "good" : fmt::format("h{}", i);
    kind.slots = last ? 6 : int(dice_.between(1, 4));
    ledger_.fair.slots += kind.slots;
    kind.first_version = i % 3 == 1;
    if (plan_.needs && (last || dice_.percent(40))) kind.labels = {{"gpu", "yes"}};
    const auto drift = dice_.between(-plan_.drift_permille, plan_.drift_permille);
    if (!last && join_dice_.percent(80)) kind.join_token = token;
    kind.rate = plan_.hub_rate * (1 + double(drift) / 1'000);
    hosts_.push_back(
        std::make_unique<Host>(timeline_, dice_, plan_, ledger_, network_, hub_, trace_, join_dice_, kind));
  }
}

// Most hosts are machines of one pool, in which two scalers do what they like: never the last one, which is the good
// one.
void World::set_up_scalers() {
  model::Pool pool;
  pool.name = "pool";
  auto& engine = hub_.engine();
  engine.ask(hub::engine::PutPool{pool, {}}, [](auto) {});
  while (engine.until_next() == 0) timeline_.step();
  for (std::size_t i = 0; i + 1 < hosts_.size(); ++i)
    if (scaler_dice_.percent(80)) hosts_[i]->be_machine(fmt::format("m{}", i));
  for (const auto* name : {"scaler-1", "scaler-2"})
    scalers_.push_back(
        std::make_unique<Scaler>(timeline_, scaler_dice_, ledger_, network_, hub_, trace_, hosts_, name));
  for (auto& scaler : scalers_) {
    timeline_.after(scaler_dice_.between(0, 1'000), [&scaler] { scaler->start(); });
    timeline_.after(scaler_dice_.between(1'000, plan_.busy),
                    [this, &scaler] { scaler->freeze(scaler_dice_.between(200, 3'000)); });
  }
}

// ---- trouble --------------------------------------------------------------------------------------------------------

// By an operator.
void World::set_host_mode(const std::string& host, model::HostMode mode) {
  using hub::engine::HostInfo;
  auto& scaling = ledger_.scaling;
  // Whether it happened may never be told, so from here on it may have; and a drain that was asked for before it may be
  // answered after it.
  if (mode == model::HostMode::run) {
    scaling.drained_by_operator.clear();
    scaling.drained_names.clear();
    ++scaling.resumes;
  }
  hub_.engine().ask(hub::engine::SetHostMode{host, mode},
                    hub_.answer<HostInfo>([&scaling, mode, resumes = scaling.resumes](Result<HostInfo>& info) {
                      if (!info || mode == model::HostMode::run || scaling.resumes != resumes) return;
                      scaling.drained_by_operator.insert(info->host.id);
                      if (mode == model::HostMode::drain) scaling.drained_names.insert(info->host.name);
                    }));
}

void World::sometimes(int times, Timeline::Act act) {
  for (int i = 0; i < times; ++i)
    timeline_.at(dice_.between(300, plan_.busy - 1), [this, act] {
      if (!healed_) act();
    });
}

void World::set_up_trouble() {
  hub_trouble();
  host_trouble();
  link_trouble();
  if (plan_.storms) sometimes(2, [this] { dice_.pick(clients_)->storm(int(dice_.between(5, 40))); });
}

void World::hub_trouble() {
  const auto few = [this] { return int(dice_.between(1, 3)); };
  if (plan_.hub_kills) sometimes(1, [this] { hub_.die(false); }), sometimes(1, [this] { hub_.die_inside(false); });
  if (plan_.power_losses) sometimes(1, [this] { hub_.die(true); }), sometimes(1, [this] { hub_.die_inside(true); });
  if (plan_.disk_errors) sometimes(1, [this] { hub_.fail_disk(dice_.percent(40)); });
  if (plan_.hub_stops) sometimes(1, [this] { hub_.stop(); });
  if (plan_.hub_freezes) sometimes(few(), [this] { hub_.freeze(dice_.between(200, 2 * plan_.lease)); });
  if (plan_.refusals) {
    sometimes(few() * 3, [this] { hub_.refuse_commit(); });
    sometimes(few(), [this] {
      if (hub_.alive()) hub_.refuse_job(fmt::format("{}.0", ledger_.submits.size()));
    });
  }
  if (plan_.unknowns) sometimes(few() * 3, [this] { hub_.doubt_commit(dice_.percent(50)); });
  if (plan_.full_disk) sometimes(1, [this] { hub_.fill_disk(dice_.between(300, 4'000)); });
  if (plan_.slow_disk)
    sometimes(few(), [this] { hub_.slow_disk(dice_.between(500, 3'000), dice_.between(20, 1'500)); });
  if (plan_.wall_jumps)
    sometimes(few(), [this] {
      ledger_.hit(Path::wall_jumped);
      hub_.clock().jump_wall(dice_.between(-10'000, 10'000));
    });
}

void World::host_trouble() {
  const auto few = [this] { return int(dice_.between(1, 4)); };
  if (plan_.host_crashes) sometimes(few(), [this] { any_host().crash(dice_.between(100, 2 * plan_.lease)); });
  if (plan_.host_freezes) sometimes(few(), [this] { any_host().freeze(dice_.between(500, 2 * plan_.lease)); });
  if (plan_.sick)  // never the last one, which is the good one
    sometimes(int(dice_.between(1, 2)), [this] {
      auto& host = *hosts_[dice_.draw(hosts_.size() - 1)];
      host.sicken(dice_.percent(30) ? 1'000'000'000 : dice_.between(1'000, plan_.busy), dice_.percent(30));
    });
  if (!plan_.drains) return;
  sometimes(1, [this] { any_host().leave(dice_.between(200, 5'000)); });
  sometimes(few(), [this] {
    if (!hub_.alive()) return;
    const auto mode = dice_.percent(30)   ? model::HostMode::run
                      : dice_.percent(50) ? model::HostMode::drain
                                          : model::HostMode::stop;
    set_host_mode(any_host().name(), mode);
  });
}

bool World::another_fits(Uuid job, const std::set<std::string>& avoided) {
  const auto* record = ledger_.find(job);
  return record != nullptr && hub_.alive() && std::any_of(hosts_.begin(), hosts_.end(), [&](const auto& host) {
           return !avoided.contains(host->name()) && host->serves(record->row.spec.requirements);
         });
}

void World::link_trouble() {
  if (!plan_.cuts) return;
  sometimes(int(dice_.between(1, 4)), [this] {
    auto& link = dice_.percent(80) ? any_host().link : dice_.pick(clients_)->link;
    const bool up = dice_.percent(60), down = !up || dice_.percent(40);
    link.cut_up = link.cut_up || up;
    link.cut_down = link.cut_down || down;
    timeline_.after(dice_.between(300, 2 * plan_.lease), [&link] { link = {}; });
  });
}

// ---- the end --------------------------------------------------------------------------------------------------------

void World::heal() {
  trace_("all is well again");
  healed_ = true;
  network_.heal();
  hub_.heal();
  for (auto& host : hosts_) host->heal();
  for (auto& client : clients_) client->heal();
  for (auto& scaler : scalers_) scaler->heal();
  hosts_.back()->boot();
  // A pause may still be on its way, or its client repeats it until a hub that is busy with a slow disk has answered.
  for (const Millis delay : {Millis(0), Millis(5'000), Millis(20'000), Millis(45'000)})
    if (plan_.pauses) timeline_.after(delay, [this] { resume_batches(); });
  // Hosts that an operator had drained are wanted again.
  timeline_.after(200, [this] {
    if (!hub_.alive()) return;
    for (auto& host : hosts_) set_host_mode(host->name(), model::HostMode::run);
  });
}

void World::resume_batches() {
  std::size_t next = 0;
  for (const auto& [id, batch] : ledger_.batches)
    if (id != model::kDefaultBatch) operators_.at(next++)->resume_batch(id.str());
}

bool World::settled() {
  if (ledger_.live > 0 || !hub_.alive() || hub_.busy()) return false;
  const auto idle = [](const auto& client) { return client->idle(); };
  if (!std::all_of(clients_.begin(), clients_.end(), idle) || !std::all_of(operators_.begin(), operators_.end(), idle))
    return false;
  const auto& stats = hub_.engine().stats();
  return stats.ticks.load() > 0 && hub_.engine().state().operations.empty();
}

std::string World::what_is_left() {
  std::string text = fmt::format("{} jobs have not ended", ledger_.live);
  int listed = 0;
  for (const auto& [id, job] : ledger_.jobs)
    if (!model::ended(job.state) && listed++ < 3)
      text += fmt::format("; job {} is {} (attempt {})", id.str(), model::state_name(job.state), job.attempt);
  for (const auto& client : clients_)
    if (!client->idle()) text += "; a client waits";
  return text;
}

// The power goes once more; what is left must be all of it.
void World::last_things() {
  hub_.die(true);
  for (auto& host : hosts_) host->crash(1'000'000);
  while (!hub_.alive() && step()) {
  }
  if (!ledger_.violation) check_finally(ledger_, hub_, plan_);
}

}  // namespace geres::simulation
