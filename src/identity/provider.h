// SPDX-License-Identifier: Apache-2.0
// The keys of one identity provider, by OpenID Connect's discovery: fetched on a thread of its own when it starts, each
// hour, and when a token names a key that is not known. Nothing that is fetched follows from what a token says but that
// one name. While the provider is away the keys that were had stay good for a day.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "identity/auth_config.h"
#include "identity/key_set.h"
#include "transport/loop.h"

namespace geres::identity {

struct FetchTimes {
  Millis refresh = 3'600'000;
  Millis unknown_key = 30'000;  // between fetches that tokens cause
  Millis retry_min = 1'000, retry_max = 60'000;
  Millis keep = 24 * 3'600'000LL;
  Millis answer = 10'000;
};

enum class Fetched { good, unreachable, refused, unfit };  // unfit: an answer, but not one to go by
BOOST_DESCRIBE_ENUM(Fetched, good, unreachable, refused, unfit)
constexpr std::size_t kFetched = std::size_t(Fetched::unfit) + 1;

// Where people are signed in, as the provider says it; empty: it does not.
struct Endpoints {
  std::string authorization, token;
  bool answers_name_issuer = false;  // RFC 9207
  bool secret_in_body = false;       // the only way in which it takes a client's secret
};

// Any thread.
class Provider {
 public:
  static constexpr std::size_t kAnswerBytesMax = 1 << 20;

  struct Settings {
    std::string name, issuer, discovery_url, ca;
    bool operator==(const Settings&) const = default;
  };
  Provider(Settings settings, transport::Options http, FetchTimes times, const Clock& clock);
  ~Provider();  // stop()
  Provider(const Provider&) = delete;
  Provider& operator=(const Provider&) = delete;

  void start();
  void stop();  // those who wait are told

  const Settings& settings() const { return settings_; }
  std::shared_ptr<const KeySet> keys() const;          // null: none, or too old
  std::shared_ptr<const Endpoints> endpoints() const;  // null: not known yet
  std::uint32_t version() const { return version_; }   // grows whenever keys were fetched

  // Calls `then` when the fetch under way, or one that this begins, is over. False: it is not called, because the last
  // fetch was a moment ago.
  bool fetch(std::function<void()> then);

  std::string trouble() const;  // why the last fetch failed; empty: it did not
  std::int64_t fetches(Fetched outcome) const { return fetches_[std::size_t(outcome)]; }

 private:
  struct Outcome {
    Fetched fetched = Fetched::good;
    std::string trouble;
    std::shared_ptr<const KeySet> keys;
    std::shared_ptr<const Endpoints> endpoints = nullptr;
  };
  void run();
  Outcome fetch_once();
  Outcome fetch_text(const std::string& url, std::string& text);
  void settle(Outcome outcome);
  void tell(const Outcome& outcome, bool news) const;
  Millis pause_after_failure() const;

  const Settings settings_;
  const FetchTimes times_;
  const Clock& clock_;
  transport::Loop loop_;  // for the thread alone, but for wake()
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const KeySet> keys_;
  std::shared_ptr<const Endpoints> endpoints_;
  std::string trouble_;
  std::atomic<std::uint32_t> version_ = 1;
  Millis got_at_ = 0, due_at_ = 0;
  Millis begun_at_ = 0;  // 0: never
  int failures_ = 0;     // in a row
  bool wanted_ = false, under_way_ = false, stopping_ = false;
  std::vector<std::function<void()>> waiting_;
  std::array<std::atomic<std::int64_t>, kFetched> fetches_{};
  std::thread thread_;
};

}  // namespace geres::identity
