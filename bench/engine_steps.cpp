// SPDX-License-Identifier: Apache-2.0
// The steps of a job's life, one after the other, for a tool that counts instructions: `engine_steps JOBS`.
// bench/instructions.py counts what is spent below each of these three functions.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "lone_engine.h"

using geres::bench::LoneEngine;

// So that the tool finds them by their names.
extern "C" {
[[gnu::noinline]] void step_submit(LoneEngine& engine, int jobs);
[[gnu::noinline]] void step_claim(LoneEngine& engine, const std::vector<geres::Uuid>& hosts);
[[gnu::noinline]] void step_finish(LoneEngine& engine, const std::vector<geres::Uuid>& hosts);
}

namespace {
std::vector<geres::hub::engine::FetchAnswer> answers;
}

void step_submit(LoneEngine& engine, int jobs) {
  for (int i = 0; i < jobs; ++i) engine.submit_one();
}

void step_claim(LoneEngine& engine, const std::vector<geres::Uuid>& hosts) {
  for (const auto host : hosts) answers.push_back(engine.claim_one(host));
}

void step_finish(LoneEngine& engine, const std::vector<geres::Uuid>& hosts) {
  for (std::size_t i = 0; i < hosts.size(); ++i) engine.finish_one(hosts[i], answers[i]);
}

int main(int argc, char** argv) {
  try {
    spdlog::set_level(geres::log::Level::err);
    const int jobs = argc > 1 ? std::atoi(argv[1]) : 100;
    LoneEngine engine({.hosts = 0, .lanes = 200, .tenants = 20});
    std::vector<geres::Uuid> hosts;
    for (int i = 0; i < jobs; ++i) hosts.push_back(engine.join("claims-" + std::to_string(i), 1));
    step_submit(engine, jobs);
    step_claim(engine, hosts);
    step_finish(engine, hosts);
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "engine_steps: %s\n", failed.what());
    return 1;
  }
}
