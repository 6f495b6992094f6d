// SPDX-License-Identifier: Apache-2.0
// Takes or refuses tokens of the configured identity providers, and says what their owners may do here. What was found
// good once is known by its SHA-256 until it expires, its key is withdrawn or the configuration changes.
#pragma once

#include <array>
#include <atomic>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "identity/jwt.h"
#include "identity/mapping.h"
#include "identity/provider.h"
#include "identity/refusal.h"

namespace geres::identity {

constexpr Millis kSignedInMax = 8 * 3'600'000LL;  // and then once more

// Whose token it was.
struct Caller {
  std::string provider;
  Subject who;
  Mapped rights;
  Millis expires = 0;         // as the token says
  Millis ends = 0;            // and with the time by which clocks may differ
  Key key;                    // that signed it
  std::string signed_in_for;  // the client's id, of who has signed in by the provider's form; empty: a token was sent
  Jwt token;                  // without its bytes
  // The configuration and keys for which this was last found to be so.
  mutable std::atomic<std::uint64_t> good_for = 0;
};
using CallerPtr = std::shared_ptr<const Caller>;

class SignIns;

// Any thread.
class Verifier {
 public:
  static constexpr std::size_t kKnownMax = 10'000;

  struct Options {
    transport::Options http;
    FetchTimes times;
    std::size_t known_max = kKnownMax;
  };
  Verifier(AuthConfig config, Options options, const Clock& clock);
  ~Verifier();  // stop()

  void start();
  void stop();

  // What the token is, if that can be said without asking its provider.
  std::optional<Checked<CallerPtr>> check(std::string_view token);
  // The same, and if keys must be fetched first, `then` is called later, perhaps by another thread.
  void check(std::string token, std::function<void(Checked<CallerPtr>)> then);

  // Who has signed in, by what the provider answered to a code. The access token's claims count where it is one for
  // this hub, else the ID token's. Waits where keys have to be fetched.
  Checked<CallerPtr> signed_in(const std::string& provider, const std::string& id_token,
                               const std::string& access_token, const std::string& nonce);
  // Where people sign in; nullopt: not at this provider.
  struct LoginAt {
    ProviderConfig config;
    std::shared_ptr<Provider> provider;
  };
  std::optional<LoginAt> login_at(std::string_view provider) const;

  // Whether it still may do what it could: not expired, its key not withdrawn, mapped as it was.
  bool current(const Caller& caller, Millis now) const;

  // From now on this counts. Providers that stay the same keep their keys.
  void reload(AuthConfig config);
  std::shared_ptr<const AuthConfig> config() const;

  SignIns& sign_ins() { return *sign_ins_; }

  std::int64_t checks(Outcome outcome) const { return checks_[std::size_t(outcome)]; }
  std::int64_t known_again() const { return known_again_; }  // of the good ones, those found without checking
  std::vector<std::shared_ptr<const Provider>> providers() const;

 private:
  // What one configuration amounts to; a reload puts another in its place.
  struct State {
    std::shared_ptr<const AuthConfig> config;
    std::vector<std::shared_ptr<Provider>> providers;  // in the order of the configuration
    struct Place {
      std::size_t provider = 0;
      std::string tenant_id;
    };
    std::unordered_map<std::string, Place> by_issuer;
    std::uint64_t number = 0;
    std::uint64_t stamp(std::size_t provider) const { return number << 32 | providers[provider]->version(); }
  };
  using StatePtr = std::shared_ptr<const State>;
  struct Begun;

  StatePtr state() const;
  StatePtr made(AuthConfig config, const State* before) const;
  CallerPtr known(const std::string& digest, Millis now);
  void remember(std::string digest, CallerPtr caller);
  // nullopt: not without a fetch.
  std::optional<Checked<CallerPtr>> judge(const State& state, std::string_view token, Provider** asks);
  static Checked<Begun> begin(const State& state, std::string_view token, Millis now);
  Checked<CallerPtr> finish(const State& state, Begun begun, const KeySet& keys, Millis now);
  Checked<CallerPtr> judge_at_last(std::string_view token);
  Checked<Begun> begin_id_token(const State& state, const std::string& provider, const std::string& token,
                                const std::string& nonce) const;
  Checked<CallerPtr> counted(Checked<CallerPtr> result);
  static bool is_current(const State& state, const Caller& caller, Millis now);

  const Options options_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  StatePtr state_;
  bool running_ = false;

  struct Entry {
    std::string digest;
    CallerPtr caller;
  };
  std::mutex known_mutex_;
  std::list<Entry> by_use_;  // the latest first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_digest_;
  std::array<std::atomic<std::int64_t>, kOutcomes> checks_{};
  std::atomic<std::int64_t> known_again_ = 0;
  std::unique_ptr<SignIns> sign_ins_;
};

// Reads the file again and has it count, or leaves all as it was: badValue and the like, with the place in it.
Result<AuthConfig> read_auth_config(const std::filesystem::path& file);
Result<void> reread(Verifier& verifier, const std::filesystem::path& file);

}  // namespace geres::identity
