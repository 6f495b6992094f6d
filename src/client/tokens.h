// SPDX-License-Identifier: Apache-2.0
// The client's credentials: a fixed token, one from a file that may be replaced, or OAuth 2.0 client credentials (RFC
// 6749, 4.4). Network thread only.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "client/failures.h"
#include "geres/client.h"
#include "transport/loop.h"

namespace geres::client {

class Tokens {
 public:
  using Take = std::function<void(Answer<std::string>)>;

  // Throws std::invalid_argument for a token file that cannot be read.
  Tokens(const Options& options, transport::Loop& loop);

  // Calls `take` with the token to send, now or when it has been fetched.
  void with(Take take);
  // The hub refused this token. True if `with` may now have another one.
  bool refused(const std::string& token);
  bool may_change() const { return oauth_ || !file_.empty(); }

 private:
  bool read_file_anew();
  bool fresh() const;
  void fetch();
  void fetched(Answer<transport::Reply> answer);

  transport::Loop& loop_;
  std::optional<OAuth> oauth_;
  std::filesystem::path file_;
  std::filesystem::file_time_type file_time_{};
  std::string token_;
  Millis lifetime_ = 0;
  Millis expires_ = 0;  // monotonic
  bool fetching_ = false;
  std::vector<Take> waiting_;
};

}  // namespace geres::client
