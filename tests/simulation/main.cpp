// SPDX-License-Identifier: Apache-2.0
// geres_sim [--seeds N | --fresh N] [--first S] [--listed FILE] [--stop] [--seed S] [--jobs P] [--lines L] [--paths]
//           [--unchecked-passes]
//
// Runs seeds in processes of their own, one a core, so that a crash or a hang costs one seed and is reported with its
// number. It goes on after a failure (not with `--stop`), and ends with a table by invariant and the trace of the
// lowest seed that failed.
// `--fresh N` begins with the number in GERES_FRESH_SEED, or a random one.
// `--listed FILE` runs the seeds of a file, one a line. `--seed S` runs one and prints all. `--paths` fails a run that
// left a rare path untaken. `--unchecked-passes`: the scheduler is not held against the plain reading of its rules, so
// that only what users would see is judged.
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <new>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/log.h"
#include "simulation/world.h"

namespace geres::simulation {
namespace {

constexpr int kWorkersMax = 64;
constexpr int kSecondsMax = 60;  // of one seed, on the processor
constexpr std::size_t kFailedMax = 1'000;

struct Asked {
  std::uint64_t first = 1;
  std::uint64_t seeds = 1'000;
  std::vector<std::uint64_t> listed;  // these instead
  std::optional<std::uint64_t> one;
  int workers = int(std::max(1u, std::thread::hardware_concurrency()));
  std::size_t lines = 60;
  bool paths = false;
  bool stop = false;

  std::uint64_t count() const { return listed.empty() ? seeds : listed.size(); }
  std::uint64_t seed(std::uint64_t place) const { return listed.empty() ? first + place : listed[place]; }
};

struct Failed {
  std::uint64_t seed = 0;
  char invariant[16] = {};
  char text[400] = {};
};

// What the workers share. A worker that crashed is started again, and its seed has failed.
struct Board {
  std::atomic<std::uint64_t> next;  // place of a seed
  std::atomic<std::uint64_t> done;
  std::atomic<std::size_t> failures;
  Failed failed[kFailedMax];  // those beyond are only counted
  struct Worker {
    std::atomic<std::uint64_t> seed;
    PathCounts paths{};
  };
  Worker workers[kWorkersMax];

  void add(std::uint64_t seed, const std::string& invariant, const std::string& text) {
    const auto place = failures++;
    if (place >= kFailedMax) return;
    auto& row = failed[place];
    row.seed = seed;
    std::snprintf(row.invariant, sizeof row.invariant, "%s", invariant.c_str());
    std::snprintf(row.text, sizeof row.text, "%s", text.c_str());
    std::printf("seed %llu violated %s: %s\n", static_cast<unsigned long long>(seed), row.invariant, row.text);
    std::fflush(stdout);
  }
};

void limit_time(int seconds) {
  const itimerval limit{{0, 0}, {seconds, 0}};
  setitimer(ITIMER_PROF, &limit, nullptr);
}

void work(const Asked& asked, Board& board, Board::Worker& worker) {
  for (std::uint64_t place = board.next++; place < asked.count(); place = board.next++) {
    const auto seed = asked.seed(place);
    worker.seed = seed;
    limit_time(kSecondsMax);
    const auto verdict = World(seed, false).run();
    for (std::size_t i = 0; i < kPaths; ++i) worker.paths[i] += verdict.paths[i];
    ++board.done;
    if (verdict.violation) board.add(seed, verdict.violation->invariant, verdict.violation->text);
    if (asked.stop && board.failures > 0) return;
  }
}

void print_trace(std::uint64_t seed, std::size_t lines) {
  const auto verdict = World(seed, true).run();
  const auto from = verdict.trace.size() > lines ? verdict.trace.size() - lines : 0;
  for (auto i = from; i < verdict.trace.size(); ++i) std::puts(verdict.trace[i].c_str());
  std::printf(
      "seed %llu: %s\n", static_cast<unsigned long long>(seed),
      verdict.violation ? (verdict.violation->invariant + ": " + verdict.violation->text).c_str() : "all is well");
}

int run_one(const Asked& asked) {
  const auto verdict = World(*asked.one, true).run();
  for (const auto& line : verdict.trace) std::puts(line.c_str());
  for (std::size_t i = 0; i < kPaths; ++i)
    if (verdict.paths[i] > 0)
      std::printf("  %-28s %llu\n", kPathNames[i], static_cast<unsigned long long>(verdict.paths[i]));
  std::printf("%llu steps, %lld ms\n", static_cast<unsigned long long>(verdict.steps),
              static_cast<long long>(verdict.time));
  if (verdict.violation)
    std::printf("violated %s: %s\n", verdict.violation->invariant.c_str(), verdict.violation->text.c_str());
  return verdict.violation ? 1 : 0;
}

pid_t start_worker(const Asked& asked, Board& board, int number) {
  std::fflush(stdout);  // or it would print what waits here, too
  const pid_t pid = fork();
  if (pid != 0) return pid;
  work(asked, board, board.workers[number]);
  std::_Exit(0);
}

// Until all have ended by themselves. False: one could not be started.
bool run_workers(const Asked& asked, Board& board) {
  std::map<pid_t, int> working;
  const auto start = [&](int number) {
    const pid_t pid = start_worker(asked, board, number);
    if (pid < 0) return std::perror("fork"), false;
    working[pid] = number;
    return true;
  };
  for (int i = 0; i < asked.workers; ++i)
    if (!start(i)) return false;
  while (!working.empty()) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, 0);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) return std::perror("waitpid"), false;
    const int number = working.at(pid);
    working.erase(pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    const bool hangs = WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF;
    ++board.done;
    board.add(board.workers[number].seed, hangs ? "hang" : "crash",
              hangs ? "it takes more than a minute of processor time"
                    : "ended by signal " + std::to_string(WIFSIGNALED(status) ? WTERMSIG(status) : 0));
    if (!asked.stop && !start(number)) return false;
  }
  return true;
}

// How often each invariant was broken, and by which seeds first. The lowest of all; 0: none.
std::uint64_t print_failures(const Board& board) {
  std::map<std::string, std::vector<std::uint64_t>> broken;
  const auto listed = std::min<std::size_t>(board.failures, kFailedMax);
  std::uint64_t lowest = 0;
  for (std::size_t i = 0; i < listed; ++i) {
    const auto& row = board.failed[i];
    broken[row.invariant].push_back(row.seed);
    if (lowest == 0 || row.seed < lowest) lowest = row.seed;
  }
  for (auto& [invariant, seeds] : broken) {
    std::sort(seeds.begin(), seeds.end());
    std::printf("  %-8s %5zu  seeds", invariant.c_str(), seeds.size());
    for (std::size_t i = 0; i < std::min<std::size_t>(seeds.size(), 6); ++i)
      std::printf(" %llu", static_cast<unsigned long long>(seeds[i]));
    std::puts(seeds.size() > 6 ? " ..." : "");
  }
  if (board.failures > kFailedMax) std::printf("  and %zu more\n", board.failures - kFailedMax);
  return lowest;
}

int check_paths(const Board& board, int workers, bool must) {
  int untaken = 0;
  for (std::size_t i = 0; i < kPaths; ++i) {
    std::uint64_t sum = 0;
    for (int w = 0; w < workers; ++w) sum += board.workers[w].paths[i];
    if (must || sum == 0) std::printf("  %-28s %llu\n", kPathNames[i], static_cast<unsigned long long>(sum));
    if (sum == 0) ++untaken;
  }
  if (must && untaken > 0) std::printf("%d paths were never taken: the run is empty there\n", untaken);
  return must && untaken > 0 ? 1 : 0;
}

int run_many(const Asked& asked) {
  auto* memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return std::perror("mmap"), 2;
  auto& board = *new (memory) Board{};
  const auto begin = std::chrono::steady_clock::now();
  if (!run_workers(asked, board)) return 2;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%llu seeds from %llu in %.1f s, %.0f a second on %d cores, %zu failed\n",
              static_cast<unsigned long long>(board.done), static_cast<unsigned long long>(asked.seed(0)), seconds,
              double(board.done) / seconds, asked.workers, std::size_t(board.failures));
  const auto failed = print_failures(board);
  if (failed == 0) return asked.listed.empty() ? check_paths(board, asked.workers, asked.paths) : 0;
  std::fflush(stdout);
  if (asked.lines > 0) {
    limit_time(kSecondsMax);
    print_trace(failed, asked.lines);
  }
  std::printf("again: ./dev sim --seed %llu\n", static_cast<unsigned long long>(failed));
  return 1;
}

// One a line; what follows a # is for people.
std::vector<std::uint64_t> read_list(const char* file) {
  std::vector<std::uint64_t> seeds;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (const auto seed = std::strtoull(line.c_str(), nullptr, 10); seed != 0) seeds.push_back(seed);
  return seeds;
}

std::uint64_t fresh_seed() {
  if (const char* given = std::getenv("GERES_FRESH_SEED")) return std::strtoull(given, nullptr, 10);
  std::random_device chance;
  return std::uniform_int_distribution<std::uint64_t>(1, 1'000'000'000'000)(chance);
}

std::optional<Asked> read_arguments(int count, char** words) {
  Asked asked;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    const auto number = [&] { return ++i < count ? std::strtoull(words[i], nullptr, 10) : 0; };
    if (word == "--seeds")
      asked.seeds = number();
    else if (word == "--fresh")
      asked.seeds = number(), asked.first = fresh_seed();
    else if (word == "--first")
      asked.first = number();
    else if (word == "--seed")
      asked.one = number();
    else if (word == "--listed") {
      asked.listed = read_list(++i < count ? words[i] : "");
      if (asked.listed.empty()) return std::fprintf(stderr, "error: --listed: no seeds in this file\n"), std::nullopt;
    } else if (word == "--jobs")
      asked.workers = int(std::min<std::uint64_t>(std::max<std::uint64_t>(number(), 1), kWorkersMax));
    else if (word == "--lines")
      asked.lines = number();
    else if (word == "--paths")
      asked.paths = true;
    else if (word == "--unchecked-passes")
      Plan::check_passes = false;
    else if (word == "--stop")
      asked.stop = true;
    else
      return std::nullopt;
  }
  asked.workers = std::min(asked.workers, kWorkersMax);
  return asked;
}

}  // namespace
}  // namespace geres::simulation

int main(int count, char** words) {
  using namespace geres::simulation;
  const auto asked = read_arguments(count, words);
  if (!asked) {
    std::fputs(
        "usage: geres_sim [--seeds N | --fresh N] [--first S] [--listed FILE] [--stop] [--seed S] [--jobs P]\n"
        "       [--lines L] [--paths] [--unchecked-passes]\n",
        stderr);
    return 2;
  }
  spdlog::set_level(spdlog::level::off);  // failures are wanted here
  sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  return asked->one ? run_one(*asked) : run_many(*asked);
}
