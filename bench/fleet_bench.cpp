// SPDX-License-Identifier: Apache-2.0
// Measures a hub with a fleet of thousands of hosts, through its real binary: the hosts are simulated
// (simulated_fleet.h), what they and the hub say to each other is not. Prints a table in Markdown, and ends with 1
// where a job was lost or run twice.
//
//     fleet_bench [GERES] [hosts=1000,10000] [seconds=20] [run=1..60] [reports=close] [part…] [--quick]
//
// GERES is the program, with a slash in its path (default: the one beside this). Parts: busy, idle, crash, drain,
// scaler. `hosts` are those of `busy`; the other parts have sizes of their own. `seconds` is for how long it is
// measured, `run` how many seconds jobs take; 10,000 hosts with jobs of 30 s on average end 1,300 jobs a second. With
// `reports=close` hosts close the connection of their reports after each. `--quick` only shows that all of it works.
#include <algorithm>
#include <cstdlib>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <sstream>

#include "machine_hook.h"
#include "simulated_fleet.h"

namespace geres::bench {
namespace {

constexpr int kSlots = 4;

struct Plan {
  fs::path geres, own, work;
  std::vector<int> busy_hosts{1'000, 10'000};
  int idle_hosts = 10'000, crash_hosts = 2'000, drain_hosts = 2'000, machines = 1'000;
  double seconds = 20;
  bool quick = false, reports_close = false;
  std::int64_t shortest_ms = 1'000, longest_ms = 60'000;  // jobs of `busy`, `crash` and `drain`
  std::int64_t descriptors = 0;

  Setting setting() const { return {geres.parent_path(), {}, work}; }
  // Single ones are a third of what so many hosts can run.
  Submitter::Shape jobs(int hosts) const {
    Submitter::Shape shape{shortest_ms, longest_ms, quick ? 50 : 500, 0};
    shape.singles_a_second =
        std::min(100.0, 0.33 * hosts * kSlots * 2'000 / double(shape.shortest_ms + shape.longest_ms));
    return shape;
  }
};

void figure(const std::string& what, const std::string& measured, const std::string& goal, const std::string& beside) {
  fmt::print("| {} | {} | {} | {} |\n", what, measured, goal, beside);
  std::fflush(stdout);
}

std::string p50_p99(const std::vector<double>& ms) {
  if (ms.empty()) return "nothing measured";
  return fmt::format("p50 {:.1f} ms, p99 {:.1f} ms ({} of them)", percentile(ms, 0.5), percentile(ms, 0.99), ms.size());
}

double own_cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// How long a thread has run, and how long it could have but other processes had the processors.
struct ThreadTime {
  double ran = 0, waited = 0;
};

std::map<std::string, ThreadTime> thread_times(pid_t pid) {
  std::map<std::string, ThreadTime> times;
  for (const auto& thread : fs::directory_iterator(fmt::format("/proc/{}/task", pid)))
    if (const auto stat = read_file_if(thread.path() / "schedstat")) {
      std::istringstream fields(*stat);
      ThreadTime time;
      fields >> time.ran >> time.waited;
      times[thread.path().filename().string()] = {time.ran / 1e9, time.waited / 1e9};
    }
  return times;
}

// Of the thread that has run most since then.
ThreadTime busiest_thread(pid_t pid, const std::map<std::string, ThreadTime>& before) {
  ThreadTime most;
  for (const auto& [thread, time] : thread_times(pid))
    if (const auto was = before.find(thread); was != before.end() && time.ran - was->second.ran > most.ran)
      most = {time.ran - was->second.ran, time.waited - was->second.waited};
  return most;
}

// A hub and its simulated fleet.
struct Scene {
  const Plan& plan;
  fs::path data;
  std::unique_ptr<Hub> hub;
  Calls calls;
  Fleet fleet{calls, kSlots};
  std::int64_t rss_before = 0, descriptors_before = 0, keeping = 0;
  // Those of the hub for one host; other callers' connections are not counted.
  double descriptors_a_host(std::int64_t others) const {
    return double(hub->descriptors() - descriptors_before - fleet.shared.open() - others) / double(fleet.hosts.size());
  }

  explicit Scene(const Plan& plan, int hosts, std::vector<std::string> more = {})
      : plan(plan), data(fresh(plan.setting())) {
    more.insert(more.end(), {"--log", "error"});
    hub = std::make_unique<Hub>(plan.geres, "hub", data, more);
    calls.to(hub->port());
    rss_before = hub->rss_kib();
    descriptors_before = hub->descriptors();
    // Neither this process nor the hub may run out of them.
    const auto room = std::min<std::int64_t>(plan.descriptors, 20'000) - hosts - 3'000;
    keeping = plan.reports_close ? 0 : std::clamp<std::int64_t>(room, 0, hosts);
  }
  ~Scene() {
    hub->stop();
    fs::remove_all(data);
  }
  // Seconds until all are there.
  double join(int hosts) {
    const auto start = now_ns();
    for (int i = 0; i < hosts; ++i) {
      auto& host = fleet.add("h" + std::to_string(i));
      host.keeps = i < keeping;
      host.join(hub->token(), "");
    }
    const auto all = [&] { return fleet.seen.joined + fleet.seen.misunderstood >= hosts; };
    if (!calls.until(all, 120) || fleet.seen.harmed())
      throw std::runtime_error(
          fmt::format("{} of {} hosts joined; {}", fleet.seen.joined, hosts, fleet.seen.first_words));
    return seconds_since(start);
  }
  // What the hub counts of attempts whose end was no job's fault.
  std::string losses() {
    std::string page;
    bool asking = false;
    calls.until(
        [&] {
          if (!asking && page.empty())
            fleet.shared.call(
                "/metrics", hub->token(), "",
                [&](int status, std::string_view body) {
                  asking = false;
                  if (status == 200) page = body;
                },
                "", "GET");
          asking = page.empty();
          return !page.empty();
        },
        30);
    if (asking) throw std::runtime_error("the hub does not say how attempts ended");
    const auto counted = [&](std::string_view outcome) {
      const auto figure = fmt::format("\ngeres_attempts_ended_total{{outcome=\"{}\"}} ", outcome);
      const auto at = page.find(figure);
      return at == std::string::npos ? 0 : std::int64_t(std::atof(page.c_str() + at + figure.size()));
    };
    return fmt::format("the hub counts {} expired, {} lost, {} released", counted("expired"), counted("lost"),
                       counted("released"));
  }
  std::string broken() const {
    std::string text;
    for (const auto& [why, times] : calls.reasons())
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", times, why);
    return text.empty() ? "none" : text;
  }
  void check() const {
    if (fleet.seen.harmed()) throw std::runtime_error(fleet.seen.harm() + "; " + fleet.seen.first_words);
  }
  // Until this share of the slots is taken.
  void fill(double share, double seconds) {
    const auto wanted = std::int64_t(share * double(fleet.hosts.size()) * kSlots);
    if (!calls.until([&] { return fleet.held() >= wanted; }, seconds))
      fmt::print(stderr, "only {} slots are taken, not {}\n", fleet.held(), wanted);
  }
};

// ---- busy -----------------------------------------------------------------------------------------------------------

std::string beside_submit(double grant_p99, double submit_p99) {
  return fmt::format("ratio of the p99s {:.2f}", submit_p99 > 0 ? grant_p99 / submit_p99 : 0);
}

void bench_busy_with(const Plan& plan, int hosts, double syncs) {
  Scene scene(plan, hosts);
  auto& [_, data, hub, calls, fleet, rss_before, descriptors_before, keeping] = scene;
  auto& seen = fleet.seen;
  const auto who = fmt::format("{} busy hosts", hosts);
  const double joining_cpu = hub->cpu_seconds(), took = scene.join(hosts);
  figure(fmt::format("{}: joining", who), fmt::format("{:.1f} s", took), "",
         fmt::format("hub's processor time a host {:.2f} ms", (hub->cpu_seconds() - joining_cpu) / hosts * 1e3));
  const std::int64_t slots = std::int64_t(hosts) * kSlots, backlog = std::max<std::int64_t>(50, slots / 20);
  Submitter submitter(fleet, hub->token(), plan.jobs(hosts));
  submitter.open(slots + backlog);
  submitter.start();
  scene.fill(0.98, plan.quick ? 10 : 120);
  calls.run(plan.quick ? 0.5 : 5);

  // All slots taken, and jobs that wait.
  const double hub_cpu = hub->cpu_seconds(), own_cpu = own_cpu_seconds();
  const auto threads = thread_times(hub->pid());
  const auto start = now_ns(), finished = seen.finished, made = calls.made();
  submitter.measure();
  seen.measures = true;
  calls.run(plan.seconds);
  seen.measures = false;
  const auto full_submit = submitter.single_ms;
  const double seconds = seconds_since(start), jobs = double(seen.finished - finished);
  const auto busiest = busiest_thread(hub->pid(), threads);
  const double hub_spent = hub->cpu_seconds() - hub_cpu, own_spent = own_cpu_seconds() - own_cpu;
  const auto rss = hub->rss_kib(), calls_made = calls.made() - made;
  const double descriptors = scene.descriptors_a_host(submitter.lines_open());
  const auto held = fleet.held();

  // A twentieth of the slots free, and no job that waits.
  submitter.open(slots - slots / 20);
  if (!calls.until([&] { return fleet.held() < slots - slots / 25 && seen.backlog() < 10; }, 60))
    fmt::print(stderr, "too few slots became free\n");
  submitter.measure();
  seen.singles_from = now_ns();
  calls.run(plan.seconds);
  const auto free_submit = submitter.single_ms;
  submitter.stop();

  const auto disk = fmt::format("{:.0f} syncs/s of this disk", syncs);
  figure(fmt::format("{}: submit, one by one, all slots taken", who), p50_p99(full_submit), "", disk);
  const double full_p99 = percentile(full_submit, 0.99), free_p99 = percentile(free_submit, 0.99);
  figure(fmt::format("{}: from a job's end to the next lease of its slot, {} jobs waiting", who, backlog),
         p50_p99(seen.free_to_lease), fmt::format("p99 {:.1f} ms: 1.5 submits", 1.5 * full_p99),
         beside_submit(percentile(seen.free_to_lease, 0.99), full_p99));
  figure(fmt::format("{}: submit, one by one, a twentieth of the slots free", who), p50_p99(free_submit), "", disk);
  figure(fmt::format("{}: from the submit call to the lease in a host's hand, no job waiting", who),
         p50_p99(seen.submit_to_lease), fmt::format("p99 {:.1f} ms: 1.5 submits", 1.5 * free_p99),
         beside_submit(percentile(seen.submit_to_lease, 0.99), free_p99));
  figure(fmt::format("{}: hub's processor time a job", who),
         fmt::format("{:.0f} µs", hub_spent / std::max(jobs, 1.0) * 1e6), "",
         fmt::format("{:.0f} jobs/s, {:.1f} calls a job, {:.0f} % of a core; this program {:.0f} %", jobs / seconds,
                     double(calls_made) / std::max(jobs, 1.0), hub_spent / seconds * 100, own_spent / seconds * 100));
  figure(fmt::format("{}: the hub's busiest thread", who),
         fmt::format("runs {:.0f} % of the time", busiest.ran / seconds * 100), "",
         fmt::format("and waits for a processor {:.0f} %", busiest.waited / seconds * 100));
  figure(fmt::format("{}: hub's memory a host", who), fmt::format("{:.1f} KiB", double(rss - rss_before) / hosts), "",
         fmt::format("{} MiB in all, {} of {} slots taken", rss >> 10, held, slots));
  figure(fmt::format("{}: hub's descriptors a host", who), fmt::format("{:.2f}", descriptors), "1.5",
         fmt::format("{} of them keep the connection of their reports", scene.keeping));
  figure(fmt::format("{}: leases", who), seen.harm(), "0",
         fmt::format("{}; {} granted, {} submits failed, {} left out as too many were under way; calls that broke: {}",
                     scene.losses(), seen.granted, submitter.failed, submitter.left_out, scene.broken()));
  scene.check();
}

void bench_busy(const Plan& plan) {
  const double syncs = syncs_per_second(plan.setting());
  for (const int hosts : plan.busy_hosts) bench_busy_with(plan, hosts, syncs);
}

// ---- idle -----------------------------------------------------------------------------------------------------------

void bench_idle(const Plan& plan) {
  const int hosts = plan.idle_hosts;
  Scene scene(plan, hosts);
  auto& hub = *scene.hub;
  scene.join(hosts);
  const auto waiting = [&] {
    return std::all_of(scene.fleet.hosts.begin(), scene.fleet.hosts.end(),
                       [](const auto& host) { return host->waits(); });
  };
  if (!scene.calls.until(waiting, 30)) throw std::runtime_error("not all hosts have a fetch open");
  scene.calls.run(plan.quick ? 0.5 : 5);
  const auto rss = hub.rss_kib(), made = scene.calls.made();
  const double cpu = hub.cpu_seconds();
  const auto start = now_ns();
  scene.calls.run(plan.quick ? plan.seconds : std::max(20.0, plan.seconds));  // as long as a fetch waits
  const double seconds = seconds_since(start), spent = hub.cpu_seconds() - cpu;
  const auto calls = double(scene.calls.made() - made);
  const auto who = fmt::format("{} idle hosts", hosts);
  figure(fmt::format("{}: hub's memory a host", who), fmt::format("{:.1f} KiB", double(rss - scene.rss_before) / hosts),
         "13 KiB",
         fmt::format("{:.1f} KiB {:.0f} s later; the hub alone {} MiB",
                     double(hub.rss_kib() - scene.rss_before) / hosts, seconds, scene.rss_before >> 10));
  figure(fmt::format("{}: hub's share of a core", who), fmt::format("{:.1f} %", spent / seconds * 100), "10 %",
         fmt::format("{:.0f} calls/s{}", calls / seconds,
                     calls > 0 ? fmt::format(", {:.0f} µs each", spent / calls * 1e6) : std::string()));
  figure(fmt::format("{}: hub's descriptors a host", who), fmt::format("{:.2f}", scene.descriptors_a_host(0)), "", "");
  scene.check();
}

// ---- crash ----------------------------------------------------------------------------------------------------------

void bench_crash(const Plan& plan) {
  const int hosts = plan.crash_hosts;
  Scene scene(plan, hosts);
  auto& [_, data, hub, calls, fleet, rss_before, descriptors_before, keeping] = scene;
  scene.join(hosts);
  auto shape = plan.jobs(hosts);
  shape.singles_a_second = 0;
  if (plan.quick) shape.longest_ms = 8'000;
  Submitter submitter(fleet, hub->token(), shape);
  submitter.open(std::int64_t(hosts) * kSlots);
  submitter.start();
  scene.fill(0.95, plan.quick ? 10 : 60);
  submitter.stop();
  calls.run(1);  // so that the leases are older than the calls that brought them

  const auto killed = now_ns(), held = fleet.held(), broken = calls.broken();
  const auto port = hub->port();
  hub->stop(SIGKILL);
  calls.run(2);
  const auto started = now_ns();
  auto starting = std::async(std::launch::async, [&] {
    return std::make_unique<Hub>(plan.geres, "hub", data, std::vector<std::string>{"--log", "error"}, port);
  });
  calls.until([&] { return starting.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }, 60);
  hub = starting.get();
  const auto renewed = [&] {
    return std::all_of(fleet.hosts.begin(), fleet.hosts.end(),
                       [&](const auto& host) { return host->renewed_since(started); });
  };
  const bool all = calls.until(renewed, 40);
  const double seconds = seconds_since(started), since_kill = seconds_since(killed);
  const auto tries = calls.broken() - broken;
  // Those that are left run to their ends.
  calls.until([&] { return fleet.held() == 0 && fleet.seen.backlog() <= 0; }, plan.quick ? 15 : 75);
  const auto who = fmt::format("hub killed under {} hosts with {} leases", hosts, held);
  figure(fmt::format("{}, away for 2 s: from its start until all are renewed", who),
         all ? fmt::format("{:.1f} s", seconds) : "not within 40 s", "5 s",
         fmt::format("listening after {:.2f} s; {:.1f} s after the kill; {} calls failed meanwhile",
                     hub->ready_seconds(), since_kill, tries));
  figure(fmt::format("{}: leases", who), fleet.seen.harm(), "0",
         fmt::format("{}; {} of {} jobs have ended", scene.losses(), fleet.seen.finished, fleet.seen.submitted));
  if (!all) throw std::runtime_error("not all leases were renewed");
  scene.check();
}

// ---- drain ----------------------------------------------------------------------------------------------------------

void bench_drain(const Plan& plan) {
  const int hosts = plan.drain_hosts, drained = hosts / 4;
  Scene scene(plan, hosts);
  auto& [_, data, hub, calls, fleet, rss_before, descriptors_before, keeping] = scene;
  auto& seen = fleet.seen;
  scene.join(hosts);
  const std::int64_t slots = std::int64_t(hosts) * kSlots;
  Submitter submitter(fleet, hub->token(), plan.jobs(hosts - drained));
  submitter.open(slots + std::max<std::int64_t>(50, slots / 20));
  submitter.start();
  for (int i = 0; i < drained; ++i) fleet.hosts[std::size_t(i)]->measured = false;
  scene.fill(0.98, plan.quick ? 10 : 60);
  calls.run(plan.quick ? 0.5 : 3);

  const auto measure = [&](double seconds, auto meanwhile) {
    seen.free_to_lease.clear();
    submitter.measure();
    seen.measures = true;
    meanwhile();
    calls.run(seconds);
    seen.measures = false;
    return std::pair(seen.free_to_lease, submitter.single_ms);
  };
  const double window = plan.quick ? plan.seconds : std::max(5.0, plan.seconds / 2);
  const auto before = measure(window, [] {});
  int done = 0, failed = 0;
  double drain_seconds = 0, drain_cpu = 0;
  const auto start = now_ns();
  const double cpu = hub->cpu_seconds();
  const auto during = measure(window, [&] {
    for (int i = 0; i < drained; ++i)
      fleet.shared.call("/v1/hosts/" + fleet.hosts[std::size_t(i)]->id() + "/drain", hub->token(), "{}",
                        [&](int status, std::string_view) {
                          ++(status == 200 ? done : failed);
                          if (done + failed < drained) return;
                          drain_seconds = seconds_since(start);
                          drain_cpu = hub->cpu_seconds() - cpu;
                        });
  });
  calls.until([&] { return done + failed == drained; }, 30);
  submitter.stop();
  const auto held = [&] {
    std::int64_t sum = 0;
    for (int i = 0; i < drained; ++i) sum += std::int64_t(fleet.hosts[std::size_t(i)]->held());
    return sum;
  };
  const bool empty = calls.until([&] { return held() == 0; }, plan.quick ? 10 : 75);
  const auto who = fmt::format("{} of {} busy hosts drained at once", drained, hosts);
  figure(fmt::format("{}: all told", who), fmt::format("{:.2f} s", drain_seconds), "",
         fmt::format("one by one over 32 connections; the hub's processor time meanwhile {:.2f} s; {} failed",
                     drain_cpu, failed));
  const double p99 = percentile(during.first, 0.99), p99_before = percentile(before.first, 0.99);
  figure(fmt::format("{}: from a job's end to the next lease at the others, {:.0f} s from then on", who, window),
         p50_p99(during.first), "p99 1 s more than before", fmt::format("before: {}", p50_p99(before.first)));
  figure(fmt::format("{}: the longest such wait", who), fmt::format("{:.0f} ms", percentile(during.first, 1)), "",
         fmt::format("before: {:.0f} ms; p99 {:+.1f} ms", percentile(before.first, 1), p99 - p99_before));
  figure(fmt::format("{}: submit beside it", who), p50_p99(during.second), "",
         fmt::format("before: {}", p50_p99(before.second)));
  figure(fmt::format("{}: leases", who), seen.harm(), "0",
         fmt::format("{}; the drained hosts {}", scene.losses(),
                     empty ? "are empty" : fmt::format("still hold {}", held())));
  if (failed > 0) throw std::runtime_error("hosts could not be drained");
  scene.check();
}

// ---- scaler ---------------------------------------------------------------------------------------------------------

// Machines come up as their files appear, and are looked after until those are gone.
class Machines {
 public:
  Machines(Scene& scene, fs::path directory) : scene_(scene), directory_(std::move(directory)) { look(); }
  std::int64_t killed = 0;  // removed while their hosts had not left
  std::size_t there() const { return hosts_.size(); }
  std::size_t ready() const {
    return std::size_t(std::count_if(hosts_.begin(), hosts_.end(), [](const auto& m) { return m.second->joined(); }));
  }

 private:
  void look() {
    std::set<std::string> names;
    for (const auto& [name, machine] : machines_in(directory_)) {
      names.insert(name);
      if (hosts_.contains(name)) continue;
      auto& host = scene_.fleet.add(name);
      hosts_.emplace(name, &host);
      host.join(machine.token, fmt::format("Geres-Pool: cpu\r\nGeres-Instance: {}\r\n", name));
    }
    std::erase_if(hosts_, [&](const auto& machine) {
      if (names.contains(machine.first)) return false;
      if (!machine.second->ended()) ++killed, machine.second->end();
      return true;
    });
    scene_.calls.after(50 * kMs, [this] { look(); });
  }
  Scene& scene_;
  const fs::path directory_;
  std::map<std::string, SimulatedHost*> hosts_;
};

std::string pool_of(const Plan& plan, const fs::path& directory) {
  return fmt::format(
      R"({{"template":{{"slots":{},"types":["Wait"]}},"policy":{{"name":"messageCount"}},)"
      R"("provider":{{"name":"command","command":["{}","hook","{}"],"mostACall":100}},)"
      R"("limits":{{"minimum":0,"maximum":{},"maximumIdle":0,"idleTime":"0","interval":"1s","scaleInWindow":"1s",)"
      R"("cooldownIn":"0s","stepOut":"{}","stepIn":"100%"}}}})",
      kSlots, plan.own.string(), directory.string(), plan.machines, plan.machines);
}

void bench_scaler(const Plan& plan) {
  const auto directory = fresh(plan.setting());
  Scene scene(plan, plan.machines, {"--no-scaler"});
  auto& seen = scene.fleet.seen;
  auto admin = scene.hub->connect();
  must(admin.call("PUT", "/v1/scaler/pools/cpu", pool_of(plan, directory)), 201);
  ::setenv("GERES_TOKEN", scene.hub->token().c_str(), 1);
  const Fd quiet(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  const pid_t scaler =
      spawn({plan.geres.string(), "scaler", "run", "--hub", fmt::format("http://127.0.0.1:{}", scene.hub->port()),
             "--data", (scene.data / "scaler").string(), "--log", "error"},
            quiet.get());
  const std::shared_ptr<void> stop(nullptr, [scaler](void*) {
    ::kill(scaler, SIGTERM);
    ::waitpid(scaler, nullptr, 0);
  });
  Machines machines(scene, directory);
  // As many jobs as there will be slots: each machine has its own, and goes when they have ended.
  const std::int64_t jobs = std::int64_t(plan.machines) * kSlots;
  auto shape = plan.jobs(plan.machines);
  shape.singles_a_second = 0;
  shape.long_at_work = false;
  shape.shortest_ms = plan.quick ? 2'000 : 20'000, shape.longest_ms = plan.quick ? 3'000 : 40'000;
  Submitter submitter(scene.fleet, scene.hub->token(), shape);
  submitter.open(jobs);
  const double hub_cpu = scene.hub->cpu_seconds();
  const auto start = now_ns();
  submitter.start();
  const double patience = plan.quick ? 30 : 120;
  scene.calls.until([&] { return seen.submitted >= jobs; }, patience);
  submitter.stop();
  const bool up = scene.calls.until([&] { return seen.granted >= jobs; }, patience);
  const double up_seconds = seconds_since(start);
  const auto ready = machines.ready();
  const bool ended = scene.calls.until([&] { return seen.finished >= jobs; }, patience);
  const auto last = now_ns();
  const bool gone = ended && scene.calls.until([&] { return machines.there() == 0; }, patience);
  const double gone_seconds = seconds_since(last);
  const auto asked = hook_calls(directory);
  const auto who = fmt::format("a pool of 0 to {} machines, {} jobs", plan.machines, jobs);
  figure(fmt::format("{}: from the first submit until all jobs have leases", who),
         up ? fmt::format("{:.1f} s", up_seconds) : fmt::format("not within {:.0f} s", patience), "",
         fmt::format("{} machines are ready then; evaluated each second, up to 100 a call, and booted at once", ready));
  figure(
      fmt::format("{}: from the last job's end until no machine is left", who),
      gone ? fmt::format("{:.1f} s", gone_seconds) : fmt::format("{} left after {:.0f} s", machines.there(), patience),
      "", fmt::format("hub's processor time for all of it {:.1f} s", scene.hub->cpu_seconds() - hub_cpu));
  figure(fmt::format("{}: calls of the provider", who),
         fmt::format("{} order, {} remove, {} list", asked.of("order"), asked.of("remove"), asked.of("list")), "",
         fmt::format("{:.0f} machines an order",
                     double(asked.machines) / double(std::max<std::int64_t>(1, asked.of("order")))));
  figure(fmt::format("{}: machines ordered", who), fmt::format("{}", asked.machines), fmt::format("{}", plan.machines),
         fmt::format("{} requests that were made again; {} machines removed while their hosts were there",
                     asked.repeats, machines.killed));
  figure(fmt::format("{}: leases", who), seen.harm(), "0", scene.losses());
  if (!up || !gone) throw std::runtime_error("the pool did not follow the work");
  if (machines.killed > 0) throw std::runtime_error("machines were removed under their hosts");
  scene.check();
}

// ---- all of it ------------------------------------------------------------------------------------------------------

Plan plan_of(const std::vector<std::string>& words, std::set<std::string>& parts) {
  Plan plan;
  plan.own = fs::canonical("/proc/self/exe");
  plan.geres = plan.own.parent_path() / "geres";
  for (const auto& word : words)
    if (word == "--quick") {
      plan.quick = true;
      plan.busy_hosts = {50};
      plan.idle_hosts = plan.crash_hosts = plan.drain_hosts = 50;
      plan.machines = 12;
      plan.seconds = 3;
      plan.shortest_ms = 300, plan.longest_ms = 1'500;
    }
  for (const auto& word : words) {
    if (word == "--quick") continue;
    if (word.starts_with("hosts=")) {
      plan.busy_hosts.clear();
      std::istringstream list(word.substr(6));
      for (std::string n; std::getline(list, n, ',');) plan.busy_hosts.push_back(std::max(1, std::atoi(n.c_str())));
    } else if (word.starts_with("seconds=")) {
      plan.seconds = std::max(1.0, std::atof(word.c_str() + 8));
    } else if (const auto dots = word.find(".."); word.starts_with("run=") && dots != std::string::npos) {
      plan.shortest_ms = std::int64_t(std::atof(word.c_str() + 4) * 1e3);
      plan.longest_ms = std::max(plan.shortest_ms, std::int64_t(std::atof(word.c_str() + dots + 2) * 1e3));
    } else if (word == "reports=close") {
      plan.reports_close = true;
    } else if (word.find('/') != std::string::npos) {
      plan.geres = fs::canonical(word);
    } else {
      parts.insert(word);
    }
  }
  plan.work = plan.own.parent_path().parent_path() / ("fleet-bench-" + random_hex(4));
  fs::create_directories(plan.work);
  plan.descriptors = raise_descriptors(65'536);
  return plan;
}

int run(const std::vector<std::string>& words) {
  const std::pair<const char*, void (*)(const Plan&)> all[] = {{"busy", bench_busy},
                                                               {"idle", bench_idle},
                                                               {"crash", bench_crash},
                                                               {"drain", bench_drain},
                                                               {"scaler", bench_scaler}};
  std::set<std::string> wanted;
  const Plan plan = plan_of(words, wanted);
  fmt::print("| what | measured | goal | beside |\n|---|---|---|---|\n");
  int failed = 0;
  for (const auto& [name, part] : all) {
    if (!wanted.empty() && !wanted.contains(name)) continue;
    try {
      part(plan);
    } catch (const std::exception& trouble) {
      figure(name, "failed", "", trouble.what());
      failed = 1;
    }
  }
  fs::remove_all(plan.work);
  return failed;
}

}  // namespace
}  // namespace geres::bench

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 3 && words[0] == "hook") return geres::bench::hook(words[1], words[2]);
  return geres::bench::run(words);
}
