// SPDX-License-Identifier: Apache-2.0
// What the engine's thread spends on one job by itself (submitted, granted, ended, one after the other) beside hosts
// that wait for work and lanes in which jobs wait: it should be the same beside few and many.
// Prints one line per case: hosts, lanes, tenants, microseconds of processor a job (median of rounds).
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "lone_engine.h"

namespace {

using namespace geres::bench;

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + double(now.tv_nsec) / 1e9;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    spdlog::set_level(geres::log::Level::err);
    const bool small = argc > 1 && std::string(argv[1]) == "--small";
    std::vector<Crowd> cases{{100, 0, 0},
                             {1'000, 0, 0},
                             {10'000, 0, 0},
                             {100, 1'000, 10},
                             {100, 50'000, 50},
                             {100, 10'000, 10'000},
                             {10'000, 50'000, 50},
                             {100, 50'000, 50, true},
                             {100, 9'000, 0, false, true},
                             {100, 9'000, 0, true, true}};
    if (small) cases = {{10, 0, 0}, {10, 20, 2}, {10, 20, 2, true}, {10, 20, 0, true, true}};
    std::printf("%8s %8s %8s  %s\n", "hosts", "lanes", "tenants", "processor us a job");
    for (const auto& size : cases) {
      LoneEngine bench(size);
      for (int i = 0; i < 50; ++i) bench.one_job();
      std::vector<double> rounds;
      for (int r = 0; r < (small ? 2 : 15); ++r) {
        const double before = processor_seconds();
        for (int i = 0; i < 40; ++i) bench.one_job();
        rounds.push_back((processor_seconds() - before) / 40 * 1e6);
      }
      std::nth_element(rounds.begin(), rounds.begin() + std::ptrdiff_t(rounds.size() / 2), rounds.end());
      std::printf("%8d %8d %8d  %.0f%s%s\n", size.hosts, size.lanes, size.tenants, rounds[rounds.size() / 2],
                  size.own ? " (types of one tenant)" : "", size.starving ? " (all waiting for long)" : "");
      std::fflush(stdout);
    }
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "engine_bench: %s\n", failed.what());
    return 1;
  }
}
