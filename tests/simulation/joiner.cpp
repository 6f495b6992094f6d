// SPDX-License-Identifier: Apache-2.0
#include "simulation/joiner.h"

#include <fmt/format.h>

#include <algorithm>

#include "hub/engine/state.h"

namespace geres::simulation {

std::string Joiner::draw_secret() {
  std::string text;
  for (int i = 0; i < 4; ++i) text += fmt::format("{:016x}", dice_.random().next());
  return text;
}

Proof Joiner::proof() {
  if (!secret_.empty()) return {std::nullopt, {}, secret_, 0};
  if (!join_token_) return {};
  if (joining_.empty()) joining_ = draw_secret();
  return {join_token_, joining_, {}, next_change()};
}

void Joiner::joined(const Proof& by, const std::string& secret) {
  if (!by.secret.empty()) return ledger_.hit(Path::came_back_by_its_secret);
  if (!by.join_token) return;
  ledger_.hit(Path::host_joined);
  secret_ = secret;
  joining_.clear();
}

// The token may be used up, or too old; then it registers with another one, which any number of hosts have.
bool Joiner::refused(const Proof& by, Code code) {
  if (by.secret.empty() && by.join_token && (code == Code::joinTokenUsed || code == Code::joinTokenExpired)) {
    ledger_.hit(Path::join_token_used_up);
    join_token_.reset();
  }
  if (code != Code::nameTaken) return false;
  join_token_.reset();
  return true;
}

void Joiner::lose_disk() {
  secret_.clear();
  joining_.clear();
  change_ = 0;
}

void Joiner::renewed(std::int64_t change, const std::string& secret) {
  if (change != change_ || secret_.empty()) return;  // it has asked again since, and waits for that
  ledger_.hit(Path::secret_renewed);
  secret_ = secret;
}

std::optional<Uuid> Joiner::admit(Engine& engine, const std::string& secret) {
  if (engine.waits_for_store()) return std::nullopt;  // nobody can be told anything now
  const auto wall = hub_.clock().wall();
  for (const auto& [id, row] : engine.state().enrolments) {
    const bool newest = row.secret_sha256 == secret;
    if (!newest && (row.earlier_sha256 != secret || row.earlier_until <= wall)) continue;
    if (ended_.contains(secret)) ledger_.violate("secret", "a secret that was over is good again");
    const Uuid admitted = id;  // the rows may be others once the engine has been asked
    if (newest && !row.earlier_sha256.empty())
      engine.ask(hub::engine::HostSecretUsed{admitted, secret},
                 hub_.answer<bool>([this, earlier = row.earlier_sha256](Result<bool>& done) {
                   if (done) ended_.insert(earlier);
                 }));
    return admitted;
  }
  if (secret == secret_) ledger_.violate("secret", "a host is not let in by its own secret");
  return std::nullopt;
}

void Joiner::let_in(const Proof& by) {
  if (!by.join_token) return;
  auto& token = ledger_.join_tokens[*by.join_token];
  if (!token.joined.insert(by.joining).second) ledger_.hit(Path::joining_repeated);
  if (int(token.joined.size()) > token.uses)
    ledger_.violate("join", fmt::format("{} hosts have joined with a token for {}", token.joined.size(), token.uses));
}

}  // namespace geres::simulation
