// SPDX-License-Identifier: Apache-2.0
// Where the token of a caller comes from: given once, a file that may be replaced, or a command that prints one. A
// command is asked anew at two thirds of the life that it told, and whenever a server refused what it gave. Any thread;
// those who come while a command runs wait for its answer.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/error.h"

namespace geres::transport {

class TokenSource {
 public:
  static constexpr std::size_t kTokenBytesMax = 16 << 10;
  static constexpr Millis kCommandTimeMax = 30'000;

  struct From {
    std::string token;           // one of these three; none: there is no token
    std::filesystem::path file;  // its first line
    std::string command;         // for /bin/sh; prints the token, or {"token": …, "expiresAt": …}
    Millis command_time_max = kCommandTimeMax;
  };
  // `stop`, if not null, ends a command that runs; it must outlive this.
  TokenSource(From from, const Clock& clock, const std::atomic<bool>* stop = nullptr);

  // The token to send now; may be empty only if none was given. The error says what is wrong with file or command.
  Result<std::string> token();
  // A server refused this token. True if token() now gives another one. Where the command or the file has become
  // useless since, false.
  bool refused(const std::string& token);
  bool may_change() const { return !from_.file.empty() || !from_.command.empty(); }

 private:
  Result<std::string> read_file();
  Result<std::string> run_command();

  const From from_;
  const Clock& clock_;
  const std::atomic<bool>* const stop_;
  std::mutex mutex_;
  std::string token_;
  std::string mark_;     // of the file when it was read
  Millis renew_at_ = 0;  // wall; 0: the command told no end
};

using TokenSourcePtr = std::shared_ptr<TokenSource>;

}  // namespace geres::transport
