// SPDX-License-Identifier: Apache-2.0
// POSTs to addresses that strangers chose, by src/transport: many at a time on one thread, over kept connections.
// Follows no redirect, uses no proxy, reads little of the answer, and asks AddressRules about each address before it
// connects.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "hub/webhooks/addresses.h"
#include "transport/loop.h"

namespace geres::hub::webhooks {

struct Post {
  std::string url;
  std::string host;  // of the URL, as in check_target
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

struct Posted {
  int status = 0;          // 0: no answer
  std::string error;       // one sentence; empty: delivered
  Millis retry_after = 0;  // as the receiver asked, at most kRetryAfterMax
  Millis took = 0;
  bool arrived() const { return error.empty(); }
};

inline constexpr Millis kRetryAfterMax = 24 * 3'600'000;

// unknownFile, badValue: the file does not exist, or contains no certificate.
Result<void> check_ca_file(const std::filesystem::path& file);

// One thread, except wake().
class Poster {
 public:
  struct Options {
    Millis answer_time_max = 10'000;
    Millis connect_time_max = 5'000;
    std::size_t connections_max = 256;
    std::filesystem::path ca_file;             // certificates to trust beside the system's, PEM; empty: none
    std::size_t answer_bytes_max = 16 * 1024;  // the rest is not read
  };
  using Done = std::function<void(Posted)>;

  Poster(const AddressRules& rules, Options options);

  void post(Post post, Done done);
  void turn(Millis wait_max) { loop_.turn(wait_max); }
  void drop() { loop_.drop(); }  // ends all calls without calling back
  void wake() { loop_.wake(); }  // any thread: turn() returns soon
  std::size_t under_way() const { return loop_.size(); }

 private:
  const AddressRules& rules_;
  transport::Loop loop_;
};

}  // namespace geres::hub::webhooks
