// SPDX-License-Identifier: Apache-2.0
// geres_sim [--seeds N] [--first S] [--seed S] [--jobs P] [--lines L] [--paths]
//
// Runs seeds in processes of their own, one a core, so that a crash or a hang costs one seed and is reported with its
// number. The first seed that fails ends the run: it is run again with its trace. `--seed S` runs one and prints all.
// `--paths` fails a run that left a rare path untaken.
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>
#include <thread>

#include "base/log.h"
#include "simulation/world.h"

namespace geres::simulation {
namespace {

constexpr int kWorkersMax = 64;
constexpr int kSecondsMax = 60;  // of one seed, on the processor

struct Asked {
  std::uint64_t first = 1;
  std::uint64_t seeds = 1'000;
  std::optional<std::uint64_t> one;
  int workers = int(std::max(1u, std::thread::hardware_concurrency()));
  std::size_t lines = 60;
  bool paths = false;
};

// What the workers share. A failure is the lowest seed's, as far as they got.
struct Board {
  std::atomic<std::uint64_t> next;
  std::atomic<std::uint64_t> done;
  std::atomic<bool> stop;
  struct Worker {
    std::atomic<std::uint64_t> seed;
    std::uint64_t failed = 0;
    char invariant[16] = {};
    char text[400] = {};
    PathCounts paths{};
  };
  Worker workers[kWorkersMax];
};

void limit_time(int seconds) {
  const itimerval limit{{0, 0}, {seconds, 0}};
  setitimer(ITIMER_PROF, &limit, nullptr);
}

void work(Board& board, Board::Worker& worker, std::uint64_t end) {
  while (!board.stop) {
    const auto seed = board.next++;
    if (seed >= end) return;
    worker.seed = seed;
    limit_time(kSecondsMax);
    const auto verdict = World(seed, false).run();
    for (std::size_t i = 0; i < kPaths; ++i) worker.paths[i] += verdict.paths[i];
    ++board.done;
    if (!verdict.violation) continue;
    std::snprintf(worker.invariant, sizeof worker.invariant, "%s", verdict.violation->invariant.c_str());
    std::snprintf(worker.text, sizeof worker.text, "%s", verdict.violation->text.c_str());
    worker.failed = seed;
    board.stop = true;
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

// The lowest seed that went wrong in any way; 0: none. Prints what went wrong.
std::uint64_t wait_for_workers(Board& board, const std::vector<pid_t>& pids) {
  std::uint64_t worst = 0;
  std::string why;
  for (std::size_t i = 0; i < pids.size(); ++i) {
    int status = 0;
    while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR) {
    }
    const auto& worker = board.workers[i];
    std::uint64_t failed = worker.failed;
    std::string text = worker.failed != 0 ? std::string("violated ") + worker.invariant + ": " + worker.text : "";
    if (WIFSIGNALED(status)) {
      failed = worker.seed;
      text = WTERMSIG(status) == SIGPROF ? "violated hang: it takes more than a minute of processor time"
                                         : "violated crash: ended by signal " + std::to_string(WTERMSIG(status));
      board.stop = true;
    }
    if (failed != 0 && (worst == 0 || failed < worst)) worst = failed, why = text;
  }
  if (worst != 0) std::printf("seed %llu %s\n", static_cast<unsigned long long>(worst), why.c_str());
  return worst;
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
  board.next = asked.first;
  const auto begin = std::chrono::steady_clock::now();
  std::vector<pid_t> pids;
  for (int i = 0; i < asked.workers; ++i) {
    const pid_t pid = fork();
    if (pid < 0) return std::perror("fork"), 2;
    if (pid == 0) {
      work(board, board.workers[i], asked.first + asked.seeds);
      std::_Exit(0);
    }
    pids.push_back(pid);
  }
  const auto failed = wait_for_workers(board, pids);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%llu seeds from %llu in %.1f s, %.0f a second on %d cores\n",
              static_cast<unsigned long long>(board.done), static_cast<unsigned long long>(asked.first), seconds,
              double(board.done) / seconds, asked.workers);
  if (failed == 0) return check_paths(board, asked.workers, asked.paths);
  std::fflush(stdout);
  if (asked.lines > 0) {
    limit_time(kSecondsMax);
    print_trace(failed, asked.lines);
  }
  std::printf("again: geres_sim --seed %llu\n", static_cast<unsigned long long>(failed));
  return 1;
}

std::optional<Asked> read_arguments(int count, char** words) {
  Asked asked;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    const auto number = [&] { return ++i < count ? std::strtoull(words[i], nullptr, 10) : 0; };
    if (word == "--seeds")
      asked.seeds = number();
    else if (word == "--first")
      asked.first = number();
    else if (word == "--seed")
      asked.one = number();
    else if (word == "--jobs")
      asked.workers = int(std::min<std::uint64_t>(std::max<std::uint64_t>(number(), 1), kWorkersMax));
    else if (word == "--lines")
      asked.lines = number();
    else if (word == "--paths")
      asked.paths = true;
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
    std::fputs("usage: geres_sim [--seeds N] [--first S] [--seed S] [--jobs P] [--lines L] [--paths]\n", stderr);
    return 2;
  }
  spdlog::set_level(spdlog::level::off);  // failures are wanted here
  sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  return asked->one ? run_one(*asked) : run_many(*asked);
}
