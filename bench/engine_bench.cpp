// SPDX-License-Identifier: Apache-2.0
// What the engine's thread spends on one job by itself (submitted, granted, ended, one after the other) beside hosts
// that wait for work and lanes in which jobs wait: it should be the same beside few and many. The store is a file in
// memory that is never synced.
// Prints one line per case: hosts, lanes, tenants, microseconds of processor a job (median of rounds).
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/log.h"
#include "hub/engine/engine.h"
#include "hub/engine/with_jobs.h"
#include "hub/store/sqlite/sqlite_store.h"

namespace {

using namespace geres;
using namespace geres::hub::engine;
namespace store = geres::hub::store;

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + double(now.tv_nsec) / 1e9;
}

struct Case {
  int hosts, lanes, tenants;
  bool starving = false;  // what waits has waited for long
};

class Bench {
 public:
  explicit Bench(const Case& size) : size_(size) {
    directory_ = std::filesystem::temp_directory_path() / ("geres-engine-bench-" + random_hex(6));
    if (std::filesystem::is_directory("/dev/shm")) directory_ = "/dev/shm" / directory_.filename();
    std::filesystem::create_directories(directory_);
    store_ = store::open_sqlite(directory_ / "geres.db", {});
    Options options;
    options.host_lost_after = 24 * 3'600'000;
    engine_ = std::make_unique<Engine>(*store_, clock_, random_, options);
    engine_->tick();
    set_up();
  }
  ~Bench() {
    engine_.reset();
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  // Of one job of its own lane: submitted, granted to a host that waits, ended, and the host waits again.
  double one_job() {
    const double before = processor_seconds();
    submit("runner", "", 1);
    FetchAnswer answer;
    Uuid host;
    engine_->tick();
    for (auto& [id, got] : answers_) host = id, answer = std::move(got);
    answers_.clear();
    if (answer.leases.size() != 1) throw std::runtime_error("the job was not granted");
    open_fetch(host);
    engine_->tick();
    ReportCall call;
    call.host = host;
    call.seq = ++seq_;
    call.fetched = answer.leases.front().lease.fetch_id;
    Completion item;
    item.lease = answer.leases.front().lease.name;
    item.outcome = model::Outcome::finished;
    call.finished = {item};
    engine_->ask(call, [](auto) {});
    engine_->tick();
    clock_.advance(2);
    return processor_seconds() - before;
  }

 private:
  template <class Verb>
  auto ask(Verb verb) {
    typename Verb::Out out;
    bool answered = false;
    engine_->ask(std::move(verb), [&](auto result) {
      if (!result) throw std::runtime_error(result.error().message);
      out = std::move(*result);
      answered = true;
    });
    while (!answered) engine_->tick();
    return out;
  }

  void submit(const std::string& tenant, const std::string& label, int n) {
    Submit submit;
    submit.caller = {"bench", true, true, {}};
    submit.list = true;
    for (int i = 0; i < n; ++i) {
      NewJob job;
      job.spec.tenant = tenant;
      job.spec.type = "Work";
      job.spec.package = "tools";
      if (!label.empty()) job.spec.requirements.labels = {{"held", label}};
      submit.jobs.push_back(std::move(job));
    }
    engine_->ask(std::move(submit), [](auto result) {
      if (!result) throw std::runtime_error(result.error().message);
    });
  }

  void push(const std::string& tenant) {
    model::PackageVersion package;
    package.tenant = tenant;
    package.name = "tools";
    package.sha256 = std::string(64, 'a');
    package.types = {"Work"};
    ask(PutPackage{package});
  }

  void open_fetch(Uuid host) {
    FetchCall call;
    call.host = host;
    call.fetch_id = "f" + std::to_string(++fetches_);
    call.slots = 4;
    call.wait = 24 * 3'600'000;
    call.received_at = clock_.monotonic();
    engine_->ask(call, [this, host](auto result) {
      if (result) answers_.emplace_back(host, std::move(*result));
    });
  }

  // What waits in the lanes fits no host that has room: it needs what only one busy host has.
  void set_up() {
    push("runner");
    RegisterHost busy;
    busy.host.name = "busy";
    busy.host.slots = 1;
    busy.host.labels = {{"held", "yes"}};
    ask(busy);
    for (int i = 0; i < size_.hosts; ++i) {
      RegisterHost wanted;
      wanted.host.name = "host-" + std::to_string(i);
      wanted.host.slots = 4;
      open_fetch(ask(wanted).id);
    }
    for (int t = 0; t < size_.tenants; ++t) push("t" + std::to_string(t));
    const int batches = size_.lanes / std::max(1, size_.tenants);
    for (int b = 0; b < batches; ++b) {
      // A lane for each tenant in each batch.
      NewBatch batch;
      batch.name = "b" + std::to_string(b);
      const auto made = ask(CreateBatch{{"bench", true, true, {}}, batch});
      for (int t = 0; t < size_.tenants; ++t) {
        Submit submit;
        submit.caller = {"bench", true, true, {}};
        submit.list = true;
        NewJob job;
        job.spec.tenant = "t" + std::to_string(t);
        job.spec.type = "Work";
        job.spec.package = "tools";
        job.spec.requirements.labels = {{"held", "yes"}};
        job.batch = made.id.str();
        submit.jobs.push_back(std::move(job));
        engine_->ask(std::move(submit), [](auto result) {
          if (!result) throw std::runtime_error(result.error().message);
        });
        if (t % 1'000 == 999) engine_->tick();
      }
      engine_->tick();
    }
    engine_->tick();
    for (int i = 0; size_.starving && i < 20; ++i) {
      clock_.advance(400);
      engine_->tick();
    }
  }

  const Case& size_;
  std::filesystem::path directory_;
  ManualClock clock_;
  SeededRandom random_{1};
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Engine> engine_;
  std::vector<std::pair<Uuid, FetchAnswer>> answers_;
  std::int64_t fetches_ = 0, seq_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    spdlog::set_level(log::Level::err);
    const bool small = argc > 1 && std::string(argv[1]) == "--small";
    std::vector<Case> cases{{100, 0, 0},       {1'000, 0, 0},         {10'000, 0, 0},       {100, 1'000, 10},
                            {100, 50'000, 50}, {100, 10'000, 10'000}, {10'000, 50'000, 50}, {100, 50'000, 50, true}};
    if (small) cases = {{10, 0, 0}, {10, 20, 2}, {10, 20, 2, true}};
    std::printf("%8s %8s %8s  %s\n", "hosts", "lanes", "tenants", "processor us a job");
    for (const auto& size : cases) {
      Bench bench(size);
      for (int i = 0; i < 50; ++i) bench.one_job();
      std::vector<double> rounds;
      for (int r = 0; r < (small ? 2 : 15); ++r) {
        double all = 0;
        for (int i = 0; i < 40; ++i) all += bench.one_job();
        rounds.push_back(all / 40 * 1e6);
      }
      std::nth_element(rounds.begin(), rounds.begin() + std::ptrdiff_t(rounds.size() / 2), rounds.end());
      std::printf("%8d %8d %8d  %.0f%s\n", size.hosts, size.lanes, size.tenants, rounds[rounds.size() / 2],
                  size.starving ? " (all waiting for long)" : "");
      std::fflush(stdout);
    }
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "engine_bench: %s\n", failed.what());
    return 1;
  }
}
