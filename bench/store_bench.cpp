// SPDX-License-Identifier: Apache-2.0
// What the store costs a job: submit, claim and finish by ticks, over backlogs of a thousand to a million; how long a
// start takes and how much memory it needs. Prints a table; the machine's own fsync stands beside it.
//   store_bench [directory, default: the working directory] [largest backlog]
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "hub/store/sqlite/sqlite_store.h"
#include "hub/store/with_jobs.h"

using namespace geres;
using namespace geres::hub::store;

namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Of this thread: tells what the store costs also on a machine that others use.
double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + double(now.tv_nsec) * 1e-9;
}

double fsync_ms(const std::filesystem::path& directory) {
  const auto path = directory / "fsync.probe";
  const Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const std::string page(4096, 'x');
  const double start = seconds();
  for (int i = 0; i < 50; ++i) {
    write_all(fd.get(), page);
    ::fdatasync(fd.get());
  }
  const double took = seconds() - start;
  std::filesystem::remove(path);
  return took / 50 * 1000;
}

double resident_mib() {
  std::ifstream status("/proc/self/statm");
  long size = 0, resident = 0;
  status >> size >> resident;
  return double(resident) * 4096 / (1024 * 1024);
}

struct Micros {
  double wall = 0, cpu = 0;  // a job
};

// The rows an engine would write, without its rules.
class Load {
 public:
  explicit Load(Store& store) : store_(store) {
    const Image image = store.load();
    tick_ = image.tick, event_ = image.last_event;
    ids_.start_after(image.last_id);
    if (!image.lanes.empty()) return;
    Changes changes;
    changes.lanes = {{1, {{}, "acme", "Resize", true, {}}}};
    run(changes);
  }

  void run(const Changes& changes) {
    store_.begin();
    store_.apply(changes);
    store_.commit(++tick_);
  }

  void submit(int n) {
    Changes changes;
    for (int i = 0; i < n; ++i) {
      model::Job job;
      job.id = ids_.next(now_ += i % 8 == 0);
      job.spec.tenant = "acme";
      job.spec.type = "Resize";
      job.spec.package = "pictures";
      job.spec.package_sha256 = std::string(64, 'a');
      job.spec.parameters = R"({"picture":"holiday-2026-08-14-0042.jpg","width":320,"height":200,"quality":85})";
      job.spec.submitted_by = "admin";
      job.status.submitted_at = job.status.ready_at = now_;
      changes.ready.push_back({1, 0, job.id.seq()});
      changes.counts.push_back({{}, "acme", model::JobState::ready, 1});
      changes.events.push_back(event(job.id, EventType::job_submitted, {model::JobState::ready, 1, 0, {}}));
      changes.jobs.push_back(std::move(job));
    }
    measured([&] { run(changes); }, n);
  }

  // One tick that grants n, one that starts and ends them.
  void claim_and_finish(std::size_t n) {
    spent_ = cpu_ = 0;
    const auto timed = [&](auto work) {
      const double start = seconds(), cpu_start = cpu_seconds();
      work();
      spent_ += seconds() - start, cpu_ += cpu_seconds() - cpu_start;
    };
    std::vector<model::Job> jobs;
    Changes grant;
    timed([&] {
      store_.begin();
      std::vector<Seq> seqs;
      for (const auto& row : store_.take_ready(std::array{LaneTake{1, n}}).front().rows) seqs.push_back(row.seq);
      jobs = store_.jobs_by_seq(seqs);
    });
    for (const auto& job : jobs) grant_one(job, grant);
    timed([&] {
      store_.apply(grant);
      store_.commit(++tick_);
    });
    Changes finish;
    for (std::size_t i = 0; i < jobs.size(); ++i) finish_one(jobs[i], grant.leases[i], finish);
    timed([&] { run(finish); });
    done_ = jobs.size();
  }

  Micros micros() const { return {spent_ / double(done_) * 1e6, cpu_ / double(done_) * 1e6}; }

 private:
  template <class F>
  void measured(F work, int n) {
    const double start = seconds(), cpu_start = cpu_seconds();
    work();
    spent_ = seconds() - start, cpu_ = cpu_seconds() - cpu_start, done_ = std::size_t(n);
  }

  EventRow event(Uuid subject, EventType type, JobEvent data) {
    return {++event_, type, subject, "acme", {}, now_, std::move(data)};
  }

  void grant_one(const model::Job& job, Changes& changes) {
    LeaseRow lease;
    lease.name = {job.id.high, random_.next()};
    lease.job = job.id;
    lease.lane = 1;
    lease.host = host_;
    lease.host_name = "worker-1";
    lease.attempt = 1;
    lease.version = 2;
    lease.ttl = 30'000;
    lease.granted_at = now_;
    lease.fetch_id = "f-12345";
    changes.leases.push_back(lease);
    changes.counts.push_back({{}, "acme", model::JobState::ready, -1});
    changes.counts.push_back({{}, "acme", model::JobState::leased, 1});
    changes.events.push_back(event(job.id, EventType::job_leased, {model::JobState::leased, 2, 1, AtHost{"w"}}));
  }

  void finish_one(const model::Job& job, const LeaseRow& lease, Changes& changes) {
    JobUpdate update{job.id, job.status};
    update.status.state = model::JobState::finished;
    update.status.version = 4;
    update.status.attempt = 1;
    update.status.host = lease.host_name;
    update.status.started_at = update.status.finished_at = now_;
    update.status.exit = model::Exit{0, std::nullopt};
    update.status.usage = model::Usage{0.01, 4 << 20};
    update.status.result = "thumbnail written";
    changes.updates.push_back(update);
    changes.leases_removed.push_back(job.id);
    model::Attempt attempt{
        1, "worker-1", now_, now_, now_, model::Outcome::finished, "", update.status.exit, update.status.usage};
    changes.attempts.push_back({job.id, lease.name, attempt});
    changes.counts.push_back({{}, "acme", model::JobState::leased, -1});
    changes.counts.push_back({{}, "acme", model::JobState::finished, 1});
    changes.events.push_back(event(job.id, EventType::job_started, {model::JobState::running, 3, 1, AtHost{"w"}}));
    changes.events.push_back(event(job.id, EventType::job_finished, {model::JobState::finished, 4, 1, {}}));
  }

  Store& store_;
  SystemRandom random_;
  IdSource ids_{random_};
  Uuid host_{1, 2};
  Millis now_ = 1'790'000'000'000;
  std::int64_t tick_ = 0, event_ = 0;
  double spent_ = 0, cpu_ = 0;
  std::size_t done_ = 0;
};

template <class F>
Micros average(int rounds, Load& load, F work) {
  Micros sum;
  for (int i = 0; i < rounds; ++i) {
    work();
    sum.wall += load.micros().wall / rounds, sum.cpu += load.micros().cpu / rounds;
  }
  return sum;
}

void fill(const std::filesystem::path& file, std::int64_t wanted) {
  const auto store = open_sqlite(file);
  Load load(*store);
  const auto there = store->reads().count({.states = {model::JobState::ready}}).count;
  for (std::int64_t n = there; n < wanted; n += 10'000) load.submit(int(std::min<std::int64_t>(10'000, wanted - n)));
}

void measure(const std::filesystem::path& file, std::int64_t backlog) {
  const double start = seconds();
  const auto store = open_sqlite(file);
  const double opened = seconds();
  const Image image = store->load();
  const double loaded = seconds();
  const double memory = resident_mib();
  Load load(*store);
  const Micros submit = average(40, load, [&] { load.submit(1'000); });
  const Micros by_100 = average(8, load, [&] { load.claim_and_finish(100); });
  const Micros by_1000 = average(20, load, [&] { load.claim_and_finish(1'000); });
  const Micros single = average(100, load, [&] { load.submit(1); });
  fmt::print(
      "{:>9} {:>7.1f} {:>7.1f} {:>7.1f} {:>7.1f} {:>7.1f} {:>7.1f} {:>7.0f} {:>7.0f} {:>7.0f} {:>7.0f} {:>7.0f}"
      " {:>7.0f}\n",
      backlog, submit.cpu, submit.wall, by_1000.cpu, by_1000.wall, by_100.cpu, by_100.wall, single.cpu, single.wall,
      (opened - start) * 1000, (loaded - opened) * 1000, memory, double(store->reads().size_bytes()) / (1 << 20));
  std::fflush(stdout);
}

// What lists cost over the largest backlog, in milliseconds.
void measure_reads(const std::filesystem::path& file) {
  const auto store = open_sqlite(file);
  auto& reads = store->reads();
  const auto timed = [](const char* what, auto work) {
    double best = 1e9;
    for (int i = 0; i < 5; ++i) {
      const double start = seconds();
      work();
      best = std::min(best, seconds() - start);
    }
    fmt::print("  {:<44} {:>9.3f} ms\n", what, best * 1000);
  };
  using enum model::JobState;
  const Page page{.limit = 100};
  const auto last = reads.jobs({}, {.limit = 1}).jobs.front();
  fmt::print("reads, best of five:\n");
  timed("one job", [&] { reads.job(last.id); });
  timed("newest 100", [&] { reads.jobs({}, page); });
  timed("newest 100 of a tenant", [&] { reads.jobs({.tenants = {"acme"}}, page); });
  timed("newest 100 of a tenant that has none", [&] { reads.jobs({.tenants = {"absent"}}, page); });
  timed("newest 100 ready", [&] { reads.jobs({.states = {ready}}, page); });
  timed("failed (none)", [&] { reads.jobs({.states = {failed}}, page); });
  timed("leased or running (none)", [&] { reads.jobs({.states = {leased, running}}, page); });
  timed("by a name that none has (walks all)", [&] { reads.jobs({.name = "absent"}, page); });
  timed("count of a tenant (walks all)", [&] { reads.count({.tenants = {"acme"}}); });
  timed("id by its last eight digits", [&] { reads.ids_like(last.id.str().substr(28), {}, 2); });
  timed("history of a job", [&] { reads.job_events(last.id, 0, 100); });
  timed("batches with counts", [&] { reads.batches({}, {}, 100); });
}

// Each size in a process of its own, so that one does not count another's memory.
void in_child(auto work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    std::fflush(stdout);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path directory = argc > 1 ? argv[1] : ".";
  const std::int64_t largest = argc > 2 ? std::atoll(argv[2]) : 1'000'000;
  const auto place = directory / ("store-bench-" + random_hex(4));
  std::filesystem::create_directories(place);
  fmt::print("{}: write + fdatasync of 4 KiB takes {:.2f} ms\n", directory.string(), fsync_ms(place));
  fmt::print(
      "microseconds a job, of the thread (cpu) and by the wall; a tick of 1,000 submits, of 1,000 and 100 claims and\n"
      "then finishes, of one submit\n");
  fmt::print("{:>9} {:>15} {:>15} {:>15} {:>15} {:>7} {:>7} {:>7} {:>7}\n", "ready", "submit 1000", "c+f 1000",
             "c+f 100", "submit 1", "open ms", "load ms", "rss MiB", "file MiB");
  std::fflush(stdout);
  for (std::int64_t backlog = 1'000; backlog <= largest; backlog *= backlog < 100'000 ? 100 : 10) {
    in_child([&] { fill(place / "store.db", backlog); });
    in_child([&] { measure(place / "store.db", backlog); });
  }
  in_child([&] { measure_reads(place / "store.db"); });
  std::filesystem::remove_all(place);
}
