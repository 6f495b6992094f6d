// SPDX-License-Identifier: Apache-2.0
#include "host/agent.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/duration.h"
#include "base/json.h"
#include "base/log.h"
#include "host/cached_kinds.h"
#include "host/link/remembered.h"
#include "wire/api/job_view.h"

namespace geres::host {
namespace {

constexpr unsigned kPoolThreads = 3;
constexpr unsigned kSweepers = 2;
// The name may be held by our earlier life, if DATA was lost; the hub soon frees it.
constexpr Millis kNameTakenMax = 60'000;

ContentCache::Options cache_options(const Options& options, bool jobs_can_write, const char* name,
                                    std::int64_t bytes_max) {
  ContentCache::Options cache;
  cache.directory = options.data / name;
  cache.bytes_max = bytes_max;
  cache.download_max = options.download_bytes_max;
  cache.jobs_can_write = jobs_can_write;
  return cache;
}

}  // namespace

Agent::Agent(Options options, JobHost::Prepared prepared)
    : options_(std::move(options)),
      lock_(std::move(prepared.lock)),
      pool_(kPoolThreads),
      cleaners_(1),
      sweepers_(kSweepers),
      link_({options_.hub_url, options_.trust}, clock_),
      runner_(std::move(prepared.runner)),
      users_(std::move(prepared.users)),
      workspaces_(options_.data / "work", options_.data / "host.lock"),
      disk_(options_.scratch, options_.data,
            {[this](const std::string& lease, const std::string& reason) {
               link_.post([this, lease, reason] { over_scratch(lease, reason); });
             },
             [this](bool is_short) {
               link_.post([this, is_short] {
                 disk_short_ = is_short;
                 member_.within(0);
               });
             }}),
      name_(options_.name.empty() ? machine_name() : options_.name),
      secret_({options_.data, options_.hub_url, options_.trust.pin, name_, options_.token, options_.join,
               options_.renew_secret_every, options_.tokens},
              clock_),
      member_(link_, clock_, kNameTakenMax, *this, reporter_),
      packages_(
          [&] {
            auto cache = cache_options(options_, isolation() == "none", "packages", options_.package_cache_bytes);
            cache.bearer = [this] { return bearer(); };
            cache.figures = &figures_.packages;
            if (users_) {
              cache.directory_mode = 0711;
              cache.own = [this](const std::string& tenant, const std::filesystem::path& directory) {
                const auto group = users_->group_of(tenant);
                const bool done =
                    group && ::chown(directory.c_str(), 0, *group) == 0 && ::chmod(directory.c_str(), 0750) == 0;
                if (!done) throw std::system_error(errno, std::generic_category(), "own " + directory.string());
              };
            }
            return cache;
          }(),
          package_kind(options_.package_limits), link_, pool_, clock_),
      inputs_(
          [&] {
            auto cache = cache_options(options_, isolation() == "none", "inputs", options_.input_cache_bytes);
            cache.bearer = [this] { return bearer(); };
            cache.figures = &figures_.inputs;
            return cache;
          }(),
          input_kind(), link_, pool_, clock_),
      sender_(link_, pool_, clock_),
      reporter_(member_, clock_, attempts_,
                {[this](const wire::Reported& answer, const std::vector<std::string>& running, Millis sent_at) {
                   take_report_answer(answer, running, sent_at);
                 },
                 [this](const std::string& lease) { unspeakable(lease); }, [this] { return rests(); }}) {
  for (int slot = options_.slots; slot-- > 0;) runner_slots_.push_back(std::uint32_t(slot));
  status_.runner = runner_->hello();
}

Agent::~Agent() {
  if (started_) {
    request_stop(0);
    (void)wait();
  }
  runner_->close();
}

// ---- membership

std::string Agent::bearer() const {
  return member_.membership() ? *member_.membership()->secret : std::string();
}

void Agent::start() {
  packages_.start();
  inputs_.start();
  if (const auto leftovers = workspaces_.start(); !leftovers.empty())
    sweepers_.run([leftovers] { remove_tree(leftovers); });
  for (const auto& item : std::filesystem::directory_iterator(options_.data))
    if (item.path().filename().native().starts_with("work.old."))
      sweepers_.run([path = item.path()] { remove_tree(path); });
  member_.set_last_id(remembered_id(options_.data));
  if (users_) places_.emplace(users_->first(), 2 * std::uint32_t(options_.slots)).remove_all();
  attach_runner();
  disk_.start();
  link_.post([this] { begin(); });
  link_.start([this] { turn(); });
  started_ = true;
}

void Agent::begin() {
  const auto& detail = runner_->hello().detail;
  log::event(log::Level::info, "jobs are contained",
             {{"by", json::write(runner_->containment()).get_string().c_str()}, {"detail", detail}});
  say_what_limits_there_are();
  say_which_limits_are_less();
  member_.join();
}

wire::RegisterHost Agent::registration() const {
  wire::RegisterHost body;
  body.name = name_;
  body.slots = options_.slots;
  body.labels = options_.labels;
  body.memory = {options_.memory > 0 ? options_.memory : machine_memory()};
  body.tenants = options_.tenants;
  body.containment = json::write(runner_->containment()).get_string().c_str();
  if (auto joining = secret_.joining()) {
    body.joining = std::move(joining->id);
    body.change = joining->change;
  }
  return body;
}

// Nothing that its attempts report: the hub knows the rest by itself.
std::optional<std::string> Agent::rests() const {
  if (disk_short_) return "the disk of its data directory is full";
  if (!runner_works_) return "its runner is being started anew";
  return std::nullopt;
}

std::string Agent::isolation() const {
  if (users_) return "user";
  return fences_jobs(options_, runner_->hello()) ? "fenced" : "none";
}

std::string Agent::limits() const {
  const auto& runner = runner_->hello();
  return fmt::format("memory={}, processes={}", json::write(runner.memoryHeld).get_string().c_str(),
                     json::write(runner.tasksHeld).get_string().c_str());
}

void Agent::joined() {
  secret_.accepted();
  if (auto kept = secret_.joined(*member_.membership()->secret); !kept) return finish(kept.error());
  try {
    remember_id(options_.data, member_.last_id());
  } catch (const std::exception& trouble) {
    log::event(log::Level::warn, "id cannot be remembered", {{"error", trouble.what()}});
  }
  log::event(log::Level::info, "registered",
             {{"hub", options_.hub_url}, {"host", name_}, {"hostId", member_.last_id()}, {"slots", options_.slots}});
}

// What would let it in, by the hub's words.
std::string Agent::advice(const std::string& problem) const {
  constexpr std::string_view kOtherName = "is for a host named '";
  if (const auto at = problem.find(kOtherName); at != std::string::npos) {
    const auto name = problem.substr(at + kOtherName.size());
    return "--name " + name.substr(0, name.find('\''));
  }
  if (problem.find("certificate") != std::string::npos)
    return "--cert FILE --key FILE, of an authority that the hub knows, for host " + name_;
  return secret_.advice();
}

void Agent::refused(Refusal why, const std::string& problem) {
  switch (why) {
    case Refusal::foreign:
      return finish(fail(Code::internal, "the hub's answer to registering makes no sense: " + problem));
    case Refusal::nameTaken:
      return finish(fail(Code::hostAlive, "the name '" + name_ + "' is taken: " + problem, "name",
                         "give this host another name with --name"));
    case Refusal::token:
      return finish(fail(Code::unauthenticated, "the hub refuses this host: " + problem, {}, advice(problem)));
    case Refusal::request:
      return finish(fail(Code::badRequest, "the hub refuses this host: " + problem));
  }
}

// The hub does not know us any more, so none of our leases is current. None of them may still run when we register
// again.
void Agent::gone() {
  reporter_.end();
  // A host that was about to say goodbye has no reason to register again.
  if (member_.stopping() && attempts_.empty()) return finish(broken_ ? Result<void>(*broken_) : Result<void>());
  log::event(log::Level::warn, "forgotten by the hub", {{"hostId", member_.last_id()}, {"attempts", attempts_.size()}});
  std::vector<std::string> leases;
  for (const auto& [lease, attempt] : attempts_) leases.push_back(lease);
  for (const auto& lease : leases) lose(lease);
  for (const auto& lease : leases)  // nobody can be told of ended ones either
    if (const auto it = attempts_.find(lease); it != attempts_.end() && it->second->phase != Phase::running)
      forget(AttemptPtr(it->second));
  must_register_ = true;
}

// ---- each turn of the loop

void Agent::turn() {
  if (finished_) return;
  if (member_.stopping()) stop_step();
  if (finished_) return;
  renew_secret();
  start_waiting();
  if (attempts_.empty() && std::exchange(must_register_, false)) member_.join();
  const bool takes_jobs = !member_.stopping() && member_.mode() == model::HostMode::run && runner_works_ &&
                          !disk_short_ && !resting_.rests(clock_.monotonic());
  figures_.takes_jobs = takes_jobs;
  member_.pump(takes_jobs ? slots_to_name() : 0);
  publish_status();
}

int Agent::free_slots() const {
  int free = options_.slots;
  for (const auto& [lease, attempt] : attempts_)
    if (attempt->live() || attempt->phase == Phase::waiting) free -= attempt->job.slots;
  return std::max(free, 0);
}

// All slots, because the hub counts which are free. It does not count what is still running of a lost lease, so until
// that has ended we name only the free ones.
int Agent::slots_to_name() const {
  const bool left_over = std::any_of(attempts_.begin(), attempts_.end(),
                                     [](const auto& entry) { return entry.second->dropped && entry.second->live(); });
  return left_over ? free_slots() : options_.slots;
}

// In the order of their arrival, so that one that needs many slots gets its turn.
void Agent::start_waiting() {
  while (runner_works_ && !waiting_.empty() && !runner_slots_.empty()) {
    const AttemptPtr attempt = waiting_.front();
    if (holds(attempt) && attempt->phase == Phase::waiting) {
      int used = 0;
      for (const auto& [lease, other] : attempts_)
        if (other->live()) used += other->job.slots;
      if (used > 0 && used + attempt->job.slots > options_.slots) return;
      attempt->slot = runner_slots_.back();
      runner_slots_.pop_back();
      prepare(attempt);
    }
    waiting_.pop_front();
  }
}

// ---- the disk

void Agent::over_scratch(const std::string& lease, const std::string& reason) {
  const auto it = attempts_.find(lease);
  if (it == attempts_.end() || it->second->phase != Phase::running) return;
  say(log::Level::warn, "attempt killed", *it->second, {{"why", reason}});
  stop(*it->second, 0, wire::StopReason::limit, reason);
}

void Agent::publish_status() {
  const std::lock_guard lock(mutex_);
  const auto& membership = member_.membership();
  if (status_.id != (membership ? membership->id : "")) status_.id = membership ? membership->id : "";
  status_.connected = membership && member_.reachable();
  status_.slots_busy = options_.slots - free_slots();
  figures_.connected = status_.connected;
  figures_.slots_busy = status_.slots_busy;
}

JobHost::Status Agent::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

std::string Agent::metrics() const {
  return metrics_text(figures_, options_.slots, status().runner);
}

// ---- what the hub tells

void Agent::take_in(wire::Fetched fetched, Millis counted_from) {
  for (auto& grant : fetched.leases) take_lease(std::move(grant), counted_from);
  for (const auto& order : fetched.cancel) cancel(order);
  member_.heed(fetched.mode);
}

void Agent::take_lease(wire::LeaseGrant grant, Millis counted_from) {
  if (attempts_.contains(grant.lease)) return;
  auto attempt = std::make_shared<Attempt>();
  attempt->lease = grant.lease;
  attempt->ttl_ms = grant.ttlMs;
  attempt->taken_at = clock_.monotonic();
  attempt->deadline = lease_end(counted_from, grant.ttlMs);
  // It is not named in the next report, so the hub takes it back at once.
  if (attempt->stops_at() <= clock_.monotonic()) {
    log::event(log::Level::warn, "lease came too late", {{"leftMs", attempt->deadline - clock_.monotonic()}});
    return member_.within(0);
  }
  attempt->package = std::move(grant.package);
  attempt->inputs = std::move(grant.inputs);
  attempt->timeout_ms = grant.timeoutMs;
  attempt->job.attempt = grant.attempt;
  attempt->job_text = boost::json::serialize(grant.job);
  auto job = wire::job_view(grant.job);
  attempt->job.id = std::move(job.id);
  attempt->job.tenant = std::move(job.tenant);
  attempt->job.type = std::move(job.type);
  attempt->job.parameters = boost::json::serialize(std::move(job.parameters).value_or(nullptr));
  attempt->job.slots = std::clamp(job.requires_.slots, 1, options_.slots);
  attempt->job.memory = job.requires_.memory;
  attempts_.emplace(attempt->lease, attempt);
  waiting_.push_back(attempt);
  link_.after(attempt->ttl_ms / 4, [] {});  // the heartbeat may be due sooner than before
  member_.within(attempt->ttl_ms / 4);
}

void Agent::take_report_answer(const wire::Reported& answer, const std::vector<std::string>& running, Millis sent_at) {
  for (const auto& lease : running)
    if (const auto it = attempts_.find(lease); it != attempts_.end()) renew(*it->second, sent_at);
  for (const auto& lease : answer.accepted)
    if (const auto it = attempts_.find(lease); it != attempts_.end()) forget(AttemptPtr(it->second));
  for (const auto& item : answer.refused) {
    const auto it = attempts_.find(item.lease);
    if (it == attempts_.end()) continue;
    const AttemptPtr attempt = it->second;
    if (item.code == "filesMissing" && attempt->finished && !attempt->harvest.files.empty()) {
      say(log::Level::warn, "files are sent again", *attempt);
      attempt->phase = Phase::collecting;
      attempt->next_upload = 0;
      upload_more(attempt);
    } else {
      say(log::Level::warn, "outcome refused", *attempt, {{"code", item.code}});
      forget(attempt);
    }
  }
  for (const auto& lease : answer.lost) lose(lease);
  for (const auto& order : answer.cancel) cancel(order);
  member_.heed(answer.mode);
}

void Agent::renew(Attempt& attempt, Millis counted_from) {
  const Millis deadline = lease_end(counted_from, attempt.ttl_ms);
  if (deadline <= attempt.deadline) return;
  attempt.deadline = deadline;
  if (attempt.phase != Phase::running || attempt.dropped || deadline - attempt.deadline_told < attempt.ttl_ms / 10)
    return;
  attempt.deadline_told = deadline;
  runner_->renew(attempt.lease, {deadline, attempt.stop_before()});
}

void Agent::cancel(const wire::CancelOrder& order) {
  const auto it = attempts_.find(order.lease);
  if (it == attempts_.end()) return;
  const AttemptPtr attempt = it->second;
  if (attempt->phase == Phase::running) return stop(*attempt, order.graceMs, wire::StopReason::cancel);
  if (attempt->phase == Phase::waiting || attempt->phase == Phase::preparing)
    end_without_run(attempt, model::Outcome::cancelled, "cancelled before it started");
}

void Agent::reached(bool reached) const {
  log::event(reached ? log::Level::info : log::Level::warn, reached ? "hub answers again" : "hub out of reach",
             {{"hub", options_.hub_url}});
}

void Agent::trouble(const Trouble& what) const {
  std::vector<log::Member> members{{"call", what.call}, {"error", what.error}};
  if (what.status != 0) members.emplace_back("status", what.status);
  members.emplace_back("requestId", what.request_id);
  log::event(log::Level::warn, "call failed", members);
}

void Agent::say(log::Level level, std::string_view message, const Attempt& about, std::vector<log::Member> more) const {
  std::vector<log::Member> members{
      {"job", about.job.id}, {"attempt", about.job.attempt}, {"tenant", about.job.tenant}, {"type", about.job.type}};
  members.insert(members.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  log::event(level, message, members);
}

void Agent::mode_changed(model::HostMode mode) {
  log::event(log::Level::info, "hub sets the mode", {{"mode", json::write(mode).get_string().c_str()}});
  if (mode == model::HostMode::stop) stop_by(options_.drain_ms);
}

// The first time the end is told again without result and files; if even that is refused the lease is left to expire.
void Agent::unspeakable(const std::string& lease) {
  const auto it = attempts_.find(lease);
  if (it == attempts_.end()) return;
  const AttemptPtr attempt = it->second;
  say(log::Level::err, "report refused", *attempt);
  if (attempt->plainly_told) return forget(attempt);
  attempt->plainly_told = true;
  attempt->harvest = {};
  attempt->finished = ended_without_run(lease, model::Outcome::failed, "the hub refused the report of how it ended");
}

// The lease is not ours any more.
void Agent::lose(const std::string& lease) {
  const auto it = attempts_.find(lease);
  if (it == attempts_.end() || it->second->phase == Phase::ended) return;  // its outcome gets an answer of its own
  const AttemptPtr attempt = it->second;
  say(log::Level::warn, "lease lost", *attempt);
  attempt->dropped = true;
  if (attempt->phase == Phase::running)
    stop(*attempt, 0, wire::StopReason::lease);
  else
    forget(attempt);
}

}  // namespace geres::host
