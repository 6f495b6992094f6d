// SPDX-License-Identifier: Apache-2.0
// The corpus of tokens, and a verifier with its providers on loopback.
#pragma once

#include <gmock/gmock.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <string>
#include <vector>

#include "base/file.h"
#include "identity/fake_provider_test.h"
#include "identity/verifier.h"

namespace geres::identity {

constexpr Millis kNow = 1'800'000'000'000;  // of testdata/make_tokens.py

// Set by hand, any thread.
class TestClock final : public Clock {
 public:
  Millis wall() const override { return wall_; }
  Millis monotonic() const override { return monotonic_; }
  void advance(Millis by) { wall_ += by, monotonic_ += by; }

 private:
  std::atomic<Millis> wall_{kNow}, monotonic_{1'000};
};

inline std::filesystem::path testdata(const std::string& name) {
  return std::filesystem::path(GERES_SOURCE_DIR) / "src/identity/testdata" / name;
}

struct Line {
  std::string name, outcome, token;
};
inline std::vector<Line> corpus() {
  std::vector<Line> lines;
  std::ifstream file(testdata("tokens.tsv"));
  for (std::string text; std::getline(file, text);) {
    const auto first = text.find('\t'), second = text.find('\t', first + 1);
    lines.push_back({text.substr(0, first), text.substr(first + 1, second - first - 1), text.substr(second + 1)});
  }
  return lines;
}

inline std::string token_called(const std::string& name) {
  for (const auto& line : corpus())
    if (line.name == name) return line.token;
  ADD_FAILURE() << "there is no token '" << name << "'";
  return {};
}

// The answer, when it is there.
inline Checked<CallerPtr> checked(Verifier& verifier, const std::string& token) {
  auto promise = std::make_shared<std::promise<Checked<CallerPtr>>>();
  auto future = promise->get_future();
  verifier.check(token, [promise](Checked<CallerPtr> result) { promise->set_value(std::move(result)); });
  if (future.wait_for(std::chrono::seconds(60)) != std::future_status::ready) {
    ADD_FAILURE() << "no answer";
    std::abort();
  }
  return future.get();
}

inline std::string outcome_of(const Checked<CallerPtr>& result) {
  return std::string(outcome_name(result ? Outcome::good : result.error().outcome));
}

// The configuration of the corpus, with all its providers here.
struct Corpus {
  FakeProvider server;
  TestClock clock;
  AuthConfig config = parse_auth_config(read_file(testdata("config.json"))).value();
  std::unique_ptr<Verifier> verifier;

  explicit Corpus(Verifier::Options options = {}) {
    for (auto& provider : config.providers) {
      server.put_provider(provider.name, provider.issuer, read_file(testdata("keys.json")));
      provider.discoveryUrl = server.at(provider.name + "/about");
    }
    verifier = std::make_unique<Verifier>(config, options, clock);
    verifier->start();
  }
  Checked<CallerPtr> check(const std::string& token) { return checked(*verifier, token); }
};

}  // namespace geres::identity
