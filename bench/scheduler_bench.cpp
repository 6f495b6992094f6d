// SPDX-License-Identifier: Apache-2.0
// What one call of the scheduler costs: a small installation that asks thousands of times a second, and a large one.
// Prints one line per case: name, calls, microseconds of processor a call (median and worst), grants a call.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "hub/engine/scheduler.h"

namespace {

using namespace geres;
using namespace geres::hub::engine;
namespace store = geres::hub::store;

struct Fleet {
  std::vector<TenantView> tenants;
  std::vector<BatchView> batches;
  std::deque<store::LaneKey> keys;
  std::deque<model::Host> machines;
  std::vector<LaneView> lanes;
  std::vector<HostView> hosts;
};

struct Size {
  std::size_t tenants, batches, lanes, hosts;
  int slots, free_slots;
};

Fleet fleet_of(const Size& size) {
  Fleet fleet;
  for (std::size_t i = 0; i < size.tenants; ++i)
    fleet.tenants.push_back({"tenant-" + std::to_string(i), 1.0 + double(i % 3), 0, 0, 0, 0});
  for (std::size_t i = 0; i < size.batches; ++i)
    fleet.batches.push_back({.name = "batch-" + std::to_string(i), .rank = 500 + std::int64_t(i % 5)});
  for (std::size_t i = 0; i < size.lanes; ++i) {
    auto& key = fleet.keys.emplace_back();
    key.tenant = fleet.tenants[i % size.tenants].name;
    key.type = "Thumbnail";
    fleet.lanes.push_back({.key = &key,
                           .tenant = i % size.tenants,
                           .batch = i % size.batches,
                           .ready = 1000,
                           .expected = 1000,
                           .head = {std::int64_t(i + 1), 0, 1 + std::int64_t(i)}});
  }
  for (std::size_t i = 0; i < size.hosts; ++i) {
    auto& machine = fleet.machines.emplace_back();
    machine.name = "host-" + std::to_string(i);
    machine.slots = size.slots;
    machine.labels = {{"hostname", machine.name}, {"zone", i % 2 ? "a" : "b"}};
    fleet.hosts.push_back(
        {&machine, true, true, size.free_slots, 0, size.slots - size.free_slots, std::nullopt, false});
  }
  return fleet;
}

// Of this thread, so that other work on the machine does not count.
double cpu_micros() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) * 1e6 + double(now.tv_nsec) / 1e3;
}

const char* only = "";  // from the command line: cases whose name contains it

void measure(const char* name, const Fleet& fleet, int calls) {
  if (!std::strstr(name, only)) return;
  Peek peek = [&](Index lane, std::size_t i) {
    return std::optional(store::ReadyRow{0, 0, std::int64_t(lane + 1 + i * 100'000)});
  };
  std::vector<double> micros;
  std::size_t grants = 0;
  const int together = calls > 10'000 ? 100 : 1;  // reading the clock costs as much as a small call
  for (int i = 0; i < calls; i += together) {
    double start = cpu_micros();
    for (int k = 0; k < together; ++k)
      grants = schedule(fleet.tenants, fleet.batches, fleet.lanes, fleet.hosts, peek, 1'000'000).grants.size();
    micros.push_back((cpu_micros() - start) / together);
  }
  std::sort(micros.begin(), micros.end());
  std::printf("%-58s %8d calls %10.2f us median %10.2f us worst %6zu grants\n", name, calls, micros[micros.size() / 2],
              micros.back(), grants);
}

void measure_why(const char* name, const Fleet& fleet, int calls) {
  if (!std::strstr(name, only)) return;
  std::vector<double> micros;
  std::size_t found = 0;
  for (int i = 0; i < calls; ++i) {
    double start = cpu_micros();
    found = why(fleet.tenants, fleet.batches, fleet.lanes, fleet.hosts, fleet.lanes.size() - 1).size();
    micros.push_back(cpu_micros() - start);
  }
  std::sort(micros.begin(), micros.end());
  std::printf("%-58s %8d calls %10.2f us median %10.2f us worst %6zu reasons\n", name, calls, micros[micros.size() / 2],
              micros.back(), found);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) only = argv[1];
  Fleet small = fleet_of({2, 2, 4, 4, 4, 1});
  measure("schedule: 4 lanes, 4 hosts, 1 slot free on each", small, 100'000);
  Fleet one = fleet_of({1, 1, 1, 1, 4, 1});
  measure("schedule: 1 lane, 1 host, 1 slot free", one, 100'000);

  Fleet large = fleet_of({500, 50, 10'000, 1'000, 8, 1});
  measure("schedule: 10,000 lanes, 1,000 hosts, 1 slot free on each", large, 200);
  measure_why("why: 10,000 lanes, 1,000 hosts", large, 50);
  Fleet idle = fleet_of({500, 50, 10'000, 1'000, 8, 8});
  measure("schedule: 10,000 lanes, 1,000 hosts, all 8 slots free", idle, 100);
  Fleet single = large;
  for (std::size_t i = 1; i < single.hosts.size(); ++i) single.hosts[i].open = false, single.hosts[i].free_slots = 0;
  measure("schedule: 10,000 lanes, 1,000 hosts, one of them open", single, 200);

  // Many tenants with a lane each, and one slot: what a busy hub does all the time.
  Fleet crowd = fleet_of({10'000, 1, 10'000, 100, 8, 1});
  for (std::size_t i = 1; i < crowd.hosts.size(); ++i) crowd.hosts[i].open = false, crowd.hosts[i].free_slots = 0;
  measure("schedule: 10,000 tenants, 100 hosts, one of them open", crowd, 500);

  Fleet misfits = large;
  for (auto& lane : misfits.lanes) {
    store::LaneKey key = *lane.key;
    key.requirements.labels = {{"gpu", "a100"}};
    lane.key = &misfits.keys.emplace_back(key);
  }
  measure("schedule: 10,000 lanes that fit none of 1,000 hosts", misfits, 20);
  measure_why("why: a lane that fits none of 1,000 hosts", misfits, 20);
  Fleet busy = misfits;
  for (auto& host : busy.hosts) host.free_slots = 0, host.running = 8;
  busy.lanes.back().key = large.lanes.back().key;
  measure_why("why: hosts are busy, 9,999 other lanes fit none", busy, 20);
  Fleet wide = large;
  for (auto& lane : wide.lanes) {
    store::LaneKey key = *lane.key;
    key.requirements.slots = 4;
    lane.key = &wide.keys.emplace_back(key);
  }
  measure("schedule: 10,000 lanes wider than what is free", wide, 20);
}
