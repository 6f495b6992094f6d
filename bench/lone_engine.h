// SPDX-License-Identifier: Apache-2.0
// An engine by itself, for benchmarks: no thread, no clock, a store in memory that is never synced, and a crowd beside
// the jobs that are measured: hosts that wait for work, lanes in which jobs wait that fit no host which has room.
#pragma once

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "hub/engine/engine.h"
#include "hub/engine/with_jobs.h"
#include "hub/store/sqlite/sqlite_store.h"

namespace geres::bench {

using namespace geres::hub::engine;
namespace store = geres::hub::store;

struct Crowd {
  int hosts, lanes, tenants;
  bool starving = false;  // what waits has waited for long
  bool own = false;       // all of the tenant and batch of the jobs that are measured, each of a type of its own
};

class LoneEngine {
 public:
  explicit LoneEngine(const Crowd& size) : size_(size) {
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
  ~LoneEngine() {
    engine_.reset();
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  // The three steps of a job's life, each a tick of its own or two.
  void submit_one() {
    submit("runner", "", 1);
    engine_->tick();
  }
  // To a host that asks for it.
  FetchAnswer claim_one(Uuid host) {
    open_fetch(host);
    engine_->tick();
    return granted().second;
  }
  void finish_one(Uuid host, const FetchAnswer& answer) {
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
  }

  // All of it: submitted, granted to a host that waits, ended, and the host waits again.
  void one_job() {
    submit_one();
    const auto [host, answer] = granted();
    open_fetch(host);
    engine_->tick();
    finish_one(host, answer);
  }

  Uuid join(const std::string& name, int slots = 4) {
    RegisterHost wanted;
    wanted.host.name = name;
    wanted.host.slots = slots;
    return ask(wanted).id;
  }

 private:
  template <class Verb>
  typename Verb::Out ask(Verb verb) {
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

  std::pair<Uuid, FetchAnswer> granted() {
    if (answers_.size() != 1 || answers_[0].second.leases.size() != 1)
      throw std::runtime_error("the job was not granted");
    auto got = std::move(answers_[0]);
    answers_.clear();
    return got;
  }

  void submit(const std::string& tenant, const std::string& label, int n, const std::string& type = "Work") {
    Submit submit;
    submit.caller = {"bench", true, true, {}};
    submit.list = true;
    for (int i = 0; i < n; ++i) {
      NewJob job;
      job.spec.tenant = tenant;
      job.spec.type = type;
      if (type == "Work") job.spec.package = "tools";
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
    for (int i = 0; i < size_.hosts; ++i) open_fetch(join("host-" + std::to_string(i)));
    for (int t = 0; t < size_.tenants; ++t) push("t" + std::to_string(t));
    if (size_.own) {
      for (int i = 0; i < size_.lanes; ++i) {
        submit("runner", "yes", 1, "Work" + std::to_string(i));
        if (i % 1'000 == 999) engine_->tick();
      }
    }
    const int batches = size_.own ? 0 : size_.lanes / std::max(1, size_.tenants);
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

  const Crowd size_;
  std::filesystem::path directory_;
  ManualClock clock_;
  SeededRandom random_{1};
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Engine> engine_;
  std::vector<std::pair<Uuid, FetchAnswer>> answers_;
  std::int64_t fetches_ = 0, seq_ = 0;
};

}  // namespace geres::bench
