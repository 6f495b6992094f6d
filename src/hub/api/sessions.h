// SPDX-License-Identifier: Apache-2.0
// Browsers that have signed in: a cookie stands for the token that opened it, until nobody has used it for twelve
// hours, seven days are over, or the token is gone. Only digests are kept, in memory: a hub that restarts knows none,
// and its page asks for the token again.
//
// A one-time code opens a session, too: a link to a person who is at the machine, without the token in it.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "hub/api/access.h"

namespace geres::hub::api {

// Any thread. Times are wall clock.
class Sessions {
 public:
  static constexpr Millis kIdleMax = 12 * 3'600'000LL;
  static constexpr Millis kLifeMax = 7 * 24 * 3'600'000LL;
  static constexpr Millis kCodeMax = 60'000;
  static constexpr std::size_t kOfOneTokenMax = 100;  // beyond it the one that was used least lately ends
  static constexpr std::size_t kCodesMax = 1'000;

  explicit Sessions(const Access& access) : access_(access) {}

  struct Opened {
    std::string secret;  // of the cookie
    std::shared_ptr<const Identity> who;
  };
  Opened open(const Identity& token, Millis now);
  // Whose cookie this is, and from now on for another while; nullptr: nobody's.
  std::shared_ptr<const Identity> find(std::string_view secret, Millis now);
  void close(const Identity& who);  // streams and sockets of it end

  std::string make_code(const Identity& token, Millis now);  // good once, for a minute; empty: too many are open
  std::shared_ptr<const Identity> take_code(std::string_view code, Millis now);

  std::size_t count(Millis now);

 private:
  struct Entry {
    std::shared_ptr<const Identity> who;
    std::shared_ptr<std::atomic<Millis>> until;
    Millis opened = 0, used = 0;
  };
  struct Code {
    Uuid token;
    Millis until = 0;
  };
  static Millis until(const Entry& entry);
  void forget_the_over(Millis now);
  void make_room(Uuid token);

  const Access& access_;
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> by_digest_;
  std::unordered_map<std::string, Code> codes_;  // by digest
};

}  // namespace geres::hub::api
