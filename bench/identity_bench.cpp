// SPDX-License-Identifier: Apache-2.0
// What it costs to check an identity provider's token: the first time, and when it is known. Prints one line per case:
// name, checks, microseconds of processor a check (best and median of the rounds). identity_bench TESTDATA
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <vector>

#include "identity/fake_provider_test.h"
#include "identity/verifier.h"

namespace {

using namespace geres;

constexpr int kRounds = 20, kChecks = 1'000;

double processor_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + double(now.tv_nsec) / 1e9;
}

class CorpusClock final : public Clock {
 public:
  Millis wall() const override { return 1'800'000'000'000; }
  Millis monotonic() const override { return 1'000; }
};

std::string token_called(const std::filesystem::path& testdata, const std::string& name) {
  std::ifstream file(testdata / "tokens.tsv");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name + "\t")) return line.substr(line.rfind('\t') + 1);
  std::fprintf(stderr, "there is no token '%s'\n", name.c_str());
  std::exit(2);
}

void measure(const std::string& name, identity::Verifier& verifier, const std::string& token) {
  std::promise<bool> there;
  verifier.check(token, [&](auto result) { there.set_value(result.has_value()); });
  if (!there.get_future().get()) std::fprintf(stderr, "%s is not taken\n", name.c_str()), std::exit(1);
  std::vector<double> rounds;
  for (int round = 0; round < kRounds; ++round) {
    const double start = processor_seconds();
    for (int i = 0; i < kChecks; ++i)
      if (!verifier.check(token)) std::exit(1);
    rounds.push_back((processor_seconds() - start) * 1e6 / kChecks);
  }
  std::sort(rounds.begin(), rounds.end());
  std::printf("%-14s %6d checks  %6.1f us best  %6.1f us median\n", name.c_str(), kRounds * kChecks, rounds.front(),
              rounds[kRounds / 2]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: identity_bench TESTDATA\n"), 2;
  const std::filesystem::path testdata = argv[1];
  identity::FakeProvider server;
  auto config = identity::parse_auth_config(read_file(testdata / "config.json")).value();
  for (auto& provider : config.providers) {
    server.put_provider(provider.name, provider.issuer, read_file(testdata / "keys.json"));
    provider.discoveryUrl = server.at(provider.name + "/about");
  }
  const CorpusClock clock;
  for (const bool first : {true, false}) {
    identity::Verifier::Options options;
    if (first) options.known_max = 0;
    identity::Verifier verifier(config, options, clock);
    verifier.start();
    for (const auto& [name, token] :
         {std::pair("RS256", "as Entra ID v2 has it"), std::pair("PS256", "PS256"), std::pair("ES256", "ES256")})
      measure(std::string(name) + (first ? " first" : " known"), verifier, token_called(testdata, token));
  }
  return 0;
}
