// SPDX-License-Identifier: Apache-2.0
// Measures a whole hub, through its real binary and HTTP, beside the limits of the machine taken in the same run:
// submits against the disk's syncs, process jobs and their start against bare spawns, memory and start-up against the
// backlog. `hub_bench [submit] [jobs] [latency] [backlog] [crash] [worker]`, all without arguments. Prints a table in
// Markdown.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <set>
#include <thread>

#include "geres/worker.h"
#include "whole_hub.h"

namespace geres::bench {
namespace {

using boost::json::value;

// ---- submit ---------------------------------------------------------------------------------------------------------

double submits_per_second(const Hub& hub, int connections, int list, double seconds, std::vector<double>* latencies) {
  std::atomic<std::int64_t> done{0};
  std::vector<std::vector<double>> took(std::size_t(connections), std::vector<double>{});
  std::vector<std::thread> threads;
  const auto start = now_ns();
  for (int c = 0; c < connections; ++c)
    threads.emplace_back([&, c] {
      auto connection = hub.connect();
      const auto lists = list > 1 ? noop_list(c * 1'000'000, list) : std::string();
      for (std::int64_t i = c; seconds_since(start) < seconds; i += connections) {
        const auto begin = now_ns();
        must(connection.call("POST", "/v1/jobs", list > 1 ? lists : noop_spec(i)), 201);
        took[std::size_t(c)].push_back(seconds_since(begin) * 1e3);
        done += list;
      }
    });
  for (auto& thread : threads) thread.join();
  const double rate = double(done) / seconds_since(start);
  if (latencies != nullptr)
    for (const auto& some : took) latencies->insert(latencies->end(), some.begin(), some.end());
  return rate;
}

void bench_submit(const Setting& setting) {
  const double syncs = syncs_per_second(setting);
  const auto limit = fmt::format("{:.0f} syncs/s of this disk", syncs);
  Hub hub(setting.bin / "geres", "hub", fresh(setting));
  submits_per_second(hub, 4, 1, 0.5, nullptr);
  for (const int connections : {1, 16, 64}) {
    std::vector<double> ms;
    const double rate = submits_per_second(hub, connections, 1, 4, &ms);
    row(fmt::format("submits one by one, {} connection{}", connections, connections == 1 ? "" : "s"),
        fmt::format("{:.0f}/s, p50 {:.2f} ms, p99 {:.2f} ms", rate, percentile(ms, 0.5), percentile(ms, 0.99)),
        fmt::format("{}; ratio {:.1f}", limit, rate / syncs));
  }
  const double rate = submits_per_second(hub, 2, 1000, 5, nullptr);
  row("submits as lists of 1,000, 2 connections", fmt::format("{:.0f} jobs/s", rate), limit);
}

// ---- process jobs ---------------------------------------------------------------------------------------------------

double raw_spawns_per_second(int loops, int each) {
  const auto start = now_ns();
  std::vector<std::thread> threads;
  for (int l = 0; l < loops; ++l)
    threads.emplace_back([each] {
      for (int i = 0; i < each; ++i) ::waitpid(spawn({"/bin/true"}), nullptr, 0);
    });
  for (auto& thread : threads) thread.join();
  return loops * each / seconds_since(start);
}

double xargs_per_second(int n) {
  const auto start = now_ns();
  ::waitpid(spawn({"sh", "-c", fmt::format("seq {} | xargs -P4 -n1 /bin/true", n)}), nullptr, 0);
  return n / seconds_since(start);
}
std::int64_t ended_jobs(Connection& connection, const std::string& batch) {
  const auto answer = connection.call("GET", "/v1/batches/" + batch + "?tenant=bench");
  must(answer, 200);
  const auto counts = boost::json::parse(answer.body).at("counts");
  std::int64_t ended = 0;
  for (const char* state : {"finished", "failed", "cancelled"})
    if (const auto* n = counts.as_object().if_contains(state)) ended += n->to_number<std::int64_t>();
  return ended;
}

void bench_jobs(const Setting& setting) {
  constexpr int kJobs = 2'000;
  Hub hub(setting.bin / "geres", "up", fresh(setting), {"--slots", "4"});
  push(setting, hub, R"({"jobs":{"True":{"command":["/bin/true"]}}})");
  auto connection = hub.connect();
  must(connection.call("POST", "/v1/batches", R"({"name":"run","tenant":"bench"})"), 201);
  std::vector<double> ours, raw, xargs;
  for (int round = 0; round < 3; ++round) {
    raw.push_back(std::max(raw_spawns_per_second(1, 400), raw_spawns_per_second(2, 200)));
    xargs.push_back(xargs_per_second(400));
    std::string list = "[";
    for (int i = 0; i < kJobs; ++i)
      list += std::string(i ? "," : "") + R"({"tenant":"bench","type":"True","package":"tools","batch":"run"})";
    const auto before = ended_jobs(connection, "run");
    const auto start = now_ns();
    must(connection.call("POST", "/v1/jobs", list + "]"), 201);
    while (ended_jobs(connection, "run") < before + kJobs) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ours.push_back(kJobs / seconds_since(start));
  }
  const double best = percentile(ours, 0.5), bare = percentile(raw, 0.5);
  row("process jobs, /bin/true, 4 slots", fmt::format("{:.0f}/s", best),
      fmt::format("{:.0f}/s posix_spawn + wait (ratio {:.2f}); {:.0f}/s xargs -P4", bare, best / bare,
                  percentile(xargs, 0.5)));
}

// ---- latency --------------------------------------------------------------------------------------------------------

std::vector<double> bare_start_ms(const Setting& setting, int n) {
  std::vector<double> ms;
  for (int i = 0; i < n; ++i) {
    int out[2];
    if (::pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    const auto start = now_ns();
    const pid_t pid = spawn({setting.stamp.string()}, out[1]);
    ::close(out[1]);
    char text[32] = {};
    if (::read(out[0], text, sizeof text - 1) <= 0) throw std::runtime_error("no stamp");
    ::close(out[0]);
    ::waitpid(pid, nullptr, 0);
    ms.push_back(double(std::atoll(text) - start) / 1e6);
  }
  return ms;
}

void bench_latency(const Setting& setting) {
  Hub hub(setting.bin / "geres", "up", fresh(setting), {"--slots", "2"});
  push(setting, hub, R"({"jobs":{"Stamp":{"command":["./hub_bench_stamp"]}}})", setting.stamp);
  auto connection = hub.connect();
  std::vector<double> ms;
  for (int i = 0; i < 220; ++i) {
    const auto start = now_ns();
    const auto made = connection.call("POST", "/v1/jobs", R"({"tenant":"bench","type":"Stamp","package":"tools"})");
    must(made, 201);
    const std::string id(boost::json::parse(made.body).at("id").as_string());
    const auto ended = connection.call("GET", "/v1/jobs/" + id + "?wait=20s");
    must(ended, 200);
    const auto job = boost::json::parse(ended.body);
    if (job.at("state").as_string() != "finished") throw std::runtime_error("the job did not finish: " + ended.body);
    if (i >= 20) ms.push_back(double(std::atoll(job.at("result").as_string().c_str()) - start) / 1e6);
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
  const auto bare = bare_start_ms(setting, 200);
  row("submit call to process start, idle",
      fmt::format("p50 {:.2f} ms, p99 {:.2f} ms", percentile(ms, 0.5), percentile(ms, 0.99)),
      fmt::format("bare spawn p50 {:.2f} ms, p99 {:.2f} ms; added at p50 {:.2f} ms", percentile(bare, 0.5),
                  percentile(bare, 0.99), percentile(ms, 0.5) - percentile(bare, 0.5)));
}

// ---- backlog --------------------------------------------------------------------------------------------------------

// Takes `n` jobs as a host with that many slots; microseconds a job.
double claim_micros(const Hub& hub, int n) {
  auto admin = hub.connect();
  const auto name = "bench-" + random_hex(4);
  const auto joined = admin.call(
      "POST", "/v1/hosts", fmt::format(R"({{"name":"{}","slots":{},"types":["Noop"],"packages":false}})", name, n));
  must(joined, 201);
  const auto host = boost::json::parse(joined.body);
  Connection own(hub.port(), std::string(host.at("secret").as_string()));
  const auto start = now_ns();
  const auto answer = own.call("POST", fmt::format("/v1/hosts/{}/fetch", std::string(host.at("id").as_string())),
                               fmt::format(R"({{"fetchId":"{}","slots":{},"wait":"5s"}})", name, n));
  const double micros = seconds_since(start) * 1e6;
  must(answer, 200);
  const auto got = boost::json::parse(answer.body).at("leases").as_array().size();
  return micros / double(std::max<std::size_t>(got, 1));
}

void bench_backlog(const Setting& setting) {
  for (const std::int64_t ready : {std::int64_t{1'000}, std::int64_t{1'000'000}}) {
    const auto data = fresh(setting);
    std::int64_t rss_after_submit = 0;
    {
      Hub hub(setting.bin / "geres", "hub", data);
      auto connection = hub.connect();
      for (std::int64_t done = 0; done < ready;) {
        const int n = int(std::min<std::int64_t>(10'000, ready - done));
        must(connection.call("POST", "/v1/jobs", noop_list(done, n)), 201);
        done += n;
      }
      rss_after_submit = hub.rss_kib();
    }
    Hub again(setting.bin / "geres", "hub", data);
    const auto rss = again.rss_kib();
    const double micros = claim_micros(again, 500);
    row(fmt::format("hub with {} ready jobs", ready),
        fmt::format("start {:.2f} s, {} MiB ({} MiB after submitting them), claim {:.0f} µs a job",
                    again.ready_seconds(), rss / 1024, rss_after_submit / 1024, micros),
        "one machine, SQLite");
    again.stop();
    fs::remove_all(data);
  }
}

// ---- crash ----------------------------------------------------------------------------------------------------------

// Submits `n` jobs; `more` goes into each, as further members.
void submit_many(const Hub& hub, std::int64_t n, const std::string& more) {
  auto connection = hub.connect();
  for (std::int64_t done = 0; done < n;) {
    const int count = int(std::min<std::int64_t>(10'000, n - done));
    std::string body = "[";
    for (int i = 0; i < count; ++i) {
      auto spec = noop_spec(done + i);
      spec.insert(1, more);
      body += (i ? "," : "") + spec;
    }
    must(connection.call("POST", "/v1/jobs", body + "]"), 201);
    done += count;
  }
}

// A hub that is killed with a million jobs and starts again: how long until a host that waits is given one.
void bench_crash(const Setting& setting) {
  constexpr std::int64_t kJobs = 1'000'000;
  for (const std::string shape : {"ready", "scheduled", "cancelled"}) {
    const auto data = fresh(setting);
    std::string id, secret;
    {
      Hub hub(setting.bin / "geres", "hub", data);
      auto admin = hub.connect();
      const auto joined =
          admin.call("POST", "/v1/hosts", R"({"name":"waits","slots":1,"types":["Noop"],"packages":false})");
      must(joined, 201);
      const auto host = boost::json::parse(joined.body);
      id = host.at("id").as_string(), secret = host.at("secret").as_string();
      must(admin.call("POST", "/v1/batches", R"({"name":"gone","tenant":"bench"})"), 201);
      submit_many(hub, 100, "");
      submit_many(hub, kJobs,
                  shape == "scheduled"   ? R"("delay":"1h",)"
                  : shape == "cancelled" ? R"("batch":"gone",)"
                                         : "");
      if (shape == "cancelled") {
        must(admin.call("POST", "/v1/batches/gone/cancel", "{}"), 200);
        while (boost::json::parse(admin.call("GET", "/v1/batches/gone").body)
                   .at("counts")
                   .at("cancelled")
                   .to_number<std::int64_t>() < kJobs)
          std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
      hub.stop(SIGKILL);
    }
    const auto log_bytes = fs::file_size(data / "geres.db-wal");
    Hub again(setting.bin / "geres", "hub", data);
    Connection own(again.port(), secret);
    const auto answer = own.call("POST", "/v1/hosts/" + id + "/fetch", R"({"fetchId":"after","slots":1,"wait":"20s"})");
    const double seconds = again.seconds_since_start();
    must(answer, 200);
    if (boost::json::parse(answer.body).at("leases").as_array().empty())
      throw std::runtime_error("no lease: " + answer.body);
    row(fmt::format("hub killed with 1,000,000 {} jobs: to the first grant", shape), fmt::format("{:.2f} s", seconds),
        fmt::format("listening after {:.2f} s; {} MiB of log to recover", again.ready_seconds(), log_bytes >> 20));
    again.stop();
    fs::remove_all(data);
  }
}

// ---- worker ---------------------------------------------------------------------------------------------------------

worker::Options worker_options(const Hub& hub, int prefetch) {
  worker::Options options;
  options.hub = fmt::format("http://127.0.0.1:{}", hub.port());
  options.token = hub.token();
  options.concurrency = 2;
  options.prefetch = prefetch;
  return options;
}

// Processor time since it was made, of the hub and of this process, for each of so many jobs.
class Cost {
 public:
  explicit Cost(const Hub& hub) : hub_(hub), hub_before_(hub.cpu_seconds()), own_before_(own_cpu_seconds()) {}
  std::string each_of(std::int64_t jobs) const {
    return fmt::format("processor time a job: hub {:.0f} µs, worker {:.0f} µs",
                       (hub_.cpu_seconds() - hub_before_) / double(jobs) * 1e6,
                       (own_cpu_seconds() - own_before_) / double(jobs) * 1e6);
  }

 private:
  static double own_cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  }
  const Hub& hub_;
  const double hub_before_, own_before_;
};

void wait_for_ends(Connection& connection, std::int64_t n) {
  while (ended_jobs(connection, "batch0") < n) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

// Handlers that do nothing, in this process; the hub beside it on the same machine. Each job's end is on disk.
void bench_worker(const Setting& setting) {
  constexpr std::int64_t kDrained = 100'000, kSubmitted = 20'000;
  const double syncs = syncs_per_second(setting);
  Hub hub(setting.bin / "geres", "hub", fresh(setting));
  auto connection = hub.connect();
  for (std::int64_t done = 0; done < kDrained; done += 10'000)
    must(connection.call("POST", "/v1/jobs", noop_list(done, 10'000)), 201);
  worker::Worker drain(worker_options(hub, 4'000));
  drain.handle("Noop", [](worker::Job&) { return worker::Result::success(); });
  auto start = now_ns();
  const Cost draining(hub);
  drain.start();
  wait_for_ends(connection, kDrained);
  const double drained = double(kDrained) / seconds_since(start);
  row("worker SDK: 100,000 no-op jobs drained", fmt::format("{:.0f}/s", drained),
      fmt::format("{:.0f} syncs/s of this disk; ratio {:.1f}; {}", syncs, drained / syncs, draining.each_of(kDrained)));

  std::vector<std::thread> clients;
  start = now_ns();
  const Cost running(hub);
  for (int c = 0; c < 16; ++c)
    clients.emplace_back([&, c] {
      auto own = hub.connect();
      for (std::int64_t i = c; i < kSubmitted; i += 16) must(own.call("POST", "/v1/jobs", noop_spec(i)), 201);
    });
  for (auto& client : clients) client.join();
  wait_for_ends(connection, kDrained + kSubmitted);
  const double ran = double(kSubmitted) / seconds_since(start);
  row("worker SDK: submitted one by one from 16 connections, and run", fmt::format("{:.0f}/s", ran),
      fmt::format("ratio {:.1f}; {}", ran / syncs, running.each_of(kSubmitted)));
  drain.stop();
  drain.wait();

  std::atomic<std::int64_t> began{0};
  worker::Worker idle(worker_options(hub, 2));
  idle.handle("Noop", [&](worker::Job&) {
    began = now_ns();
    return worker::Result::success();
  });
  idle.start();
  std::vector<double> ms;
  for (int i = 0; i < 520; ++i) {
    began = 0;
    const auto called = now_ns();
    must(connection.call("POST", "/v1/jobs", noop_spec(i)), 201);
    while (began == 0) std::this_thread::sleep_for(std::chrono::microseconds(20));
    if (i >= 20) ms.push_back(double(began - called) / 1e6);
    std::this_thread::sleep_for(std::chrono::milliseconds(4));
  }
  row("worker SDK: submit call to handler start, idle",
      fmt::format("p50 {:.2f} ms, p99 {:.2f} ms", percentile(ms, 0.5), percentile(ms, 0.99)),
      fmt::format("one sync {:.2f} ms", 1'000 / syncs));
}

}  // namespace

}  // namespace geres::bench

int main(int argc, char** argv) {
  using namespace geres::bench;
  return run_parts(argc, argv,
                   {{"submit", bench_submit},
                    {"jobs", bench_jobs},
                    {"latency", bench_latency},
                    {"backlog", bench_backlog},
                    {"crash", bench_crash},
                    {"worker", bench_worker}});
}
