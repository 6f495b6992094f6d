// SPDX-License-Identifier: Apache-2.0
// How many processes a second come through the runner, beside what this machine can do at all: one and two loops of
// posix_spawn and waitpid. All in one run, in turns, because the machine's own speed wanders. The best containment is
// run again with limits and with fences, and the processor time that a job takes is told: of the runner and the job.
//   runner_bench [RUNNER] [SECONDS] [CONTAINMENT]
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/describe/enum_to_string.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "host/runner_client/runner_client.h"

namespace {

using namespace geres;
using Seconds = std::chrono::duration<double>;

double since(std::chrono::steady_clock::time_point start) {
  return Seconds(std::chrono::steady_clock::now() - start).count();
}

int spawn_loop(double seconds) {
  const auto start = std::chrono::steady_clock::now();
  char name[] = "/bin/true";
  char* const argv[] = {name, nullptr};
  int done = 0;
  for (; since(start) < seconds; ++done) {
    pid_t pid = 0;
    if (posix_spawn(&pid, name, nullptr, nullptr, argv, environ) != 0) std::abort();
    waitpid(pid, nullptr, 0);
  }
  return done;
}

double raw(int loops, double seconds) {
  std::vector<int> pipes;
  for (int i = 0; i < loops; ++i) {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    if (fork() == 0) {
      const int done = spawn_loop(seconds);
      _exit(write(ends[1], &done, sizeof done) == sizeof done ? 0 : 1);
    }
    close(ends[1]);
    pipes.push_back(ends[0]);
  }
  double total = 0;
  for (const int fd : pipes) {
    int done = 0;
    if (read(fd, &done, sizeof done) == sizeof done) total += done;
    close(fd);
    wait(nullptr);
  }
  return total / seconds;
}

struct Through {
  std::unique_ptr<host::RunnerClient> client;
  TemporaryDirectory directory;
  std::atomic<int> done{0}, failed{0}, running{0};
  std::atomic<bool> more{false};
  int number = 0;
  double used = 0;  // processor time, in seconds, of so many jobs
  int ran = 0;
  bool progress = true;
  bool limits = false, fences = false;

  void start(std::uint32_t slot) {
    wire::RunSpec spec;
    spec.slot = slot;
    spec.key = std::to_string(slot) + "-" + std::to_string(number++);
    spec.argv = {"/bin/true"};
    spec.env = {"PATH=/usr/bin:/bin"};
    spec.workDirectory = directory.path();
    spec.stdoutPath = directory.path() / (spec.key + ".out");
    spec.stderrPath = directory.path() / (spec.key + ".err");
    if (progress) spec.progressPath = directory.path() / (std::to_string(slot) + ".progress");
    spec.timeoutMs = 60'000;
    if (limits) {
      spec.limits.treeMemoryBytes = 256 << 20;
      spec.limits.treeTasks = 1'000;
    }
    if (fences) spec.fences = wire::RunFences{{directory.path()}, {"/usr"}};
    ++running;
    client->start(spec);
  }
  void attach() {
    host::RunnerClient::Callbacks callbacks;
    callbacks.exited = [this](const wire::RunResult& result) {
      ++done, --running;
      if (result.exitCode != 0) ++failed;
      if (more) start(std::uint32_t(std::atoi(result.key.c_str())));
    };
    client->attach(std::move(callbacks));
  }
  // Of the runner and all that it has reaped, in seconds.
  double processor_time() const {
    const auto stat = read_file_if("/proc/" + std::to_string(client->pid()) + "/stat").value_or("");
    unsigned long user = 0, system = 0, children_user = 0, children_system = 0;
    const auto name_end = stat.rfind(')');
    if (name_end == std::string::npos ||
        std::sscanf(stat.c_str() + name_end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", &user,
                    &system, &children_user, &children_system) != 4)
      return 0;
    return double(user + system + children_user + children_system) / double(sysconf(_SC_CLK_TCK));
  }
  double run(std::uint32_t slots, double seconds) {
    const int before = done;
    const double used_before = processor_time();
    more = true;
    const auto begun = std::chrono::steady_clock::now();
    for (std::uint32_t slot = 0; slot < slots; ++slot) start(slot);
    usleep(useconds_t(seconds * 1e6));
    more = false;
    const double rate = (done - before) / since(begun);
    while (running > 0) usleep(1000);
    used += processor_time() - used_before;
    ran += done - before;
    return rate;
  }
};

std::string words_of(const Through& through) {
  std::string words = boost::describe::enum_to_string(through.client->containment(), "?");
  if (through.limits) words += ", limits";
  if (through.fences) words += ", fences";
  return words;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  const std::filesystem::path runner = argc > 1 ? argv[1] : self.parent_path() / "geres-runner";
  const double seconds = argc > 2 ? std::atof(argv[2]) : 2;
  const std::string_view only = argc > 3 ? argv[3] : "";
  constexpr int kRounds = 5;

  std::vector<std::unique_ptr<Through>> kinds;
  for (const auto kind : {wire::Containment::cgroup2, wire::Containment::freezer, wire::Containment::pidns,
                          wire::Containment::bestEffort}) {
    if (!only.empty() && only != boost::describe::enum_to_string(kind, "?")) continue;
    host::RunnerClient::Options options;
    options.runner_path = runner;
    options.slots = 4;
    options.containment = kind;
    auto client = host::RunnerClient::launch(options);
    if (!client) {
      std::printf("%s: %s\n", boost::describe::enum_to_string(kind, "?"), client.error().message.c_str());
      continue;
    }
    kinds.push_back(std::make_unique<Through>());
    kinds.back()->client = std::move(*client);
  }
  for (const bool fences : {false, true}) {
    host::RunnerClient::Options options;
    options.runner_path = runner;
    options.slots = 4;
    if (!kinds.empty()) options.containment = kinds[0]->client->containment();
    options.hidden = {"/home/somebody/.local/share/geres", "/home/somebody/.ssh"};
    auto client = host::RunnerClient::launch(options);
    if (!client || (fences && (*client)->hello().landlock == 0)) continue;
    kinds.push_back(std::make_unique<Through>());
    kinds.back()->client = std::move(*client);
    kinds.back()->limits = true;
    kinds.back()->fences = fences;
  }
  for (auto& kind : kinds) kind->attach();

  std::vector<double> one, two;
  std::vector<std::vector<double>> rates(kinds.size());
  for (int round = 0; round < kRounds; ++round) {
    one.push_back(raw(1, seconds));
    two.push_back(raw(2, seconds));
    for (std::size_t i = 0; i < kinds.size(); ++i) rates[i].push_back(kinds[i]->run(4, seconds));
  }
  const double best = std::max(median(one), median(two));
  std::printf("/bin/true, processes a second (median of %d turns of %.1f s)\n", kRounds, seconds);
  std::printf("  %-42s %7.0f\n  %-42s %7.0f\n", "posix_spawn, one loop", median(one), "posix_spawn, two loops",
              median(two));
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const std::string name = "runner, 4 slots, " + words_of(*kinds[i]);
    std::printf("  %-42s %7.0f  %3.0f %%  %5.2f ms%s\n", name.c_str(), median(rates[i]), 100 * median(rates[i]) / best,
                1000 * kinds[i]->used / std::max(kinds[i]->ran, 1), kinds[i]->failed > 0 ? "  SOME FAILED" : "");
  }
}
