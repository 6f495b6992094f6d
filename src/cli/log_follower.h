// SPDX-License-Identifier: Apache-2.0
// One stream of a job's log, printed as it is or as it grows, over attempts and over absences of the hub. The hub goes
// on from one attempt to the next without saying so, so after a break we find out which byte of which attempt came
// last: attempts before the newest do not grow any more, and the hub says how long they are.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cli/client/client.h"
#include "cli/terminal_filter.h"

namespace geres::cli {

// For one thread.
class LogFollower {
 public:
  struct What {
    std::string job;
    std::string stream;                                   // stdout | stderr
    std::optional<std::int64_t> attempt;                  // absent: the newest; with `follow` also those after it
    std::optional<std::int64_t> tail;                     // lines
    bool follow = false;                                  // until the job has ended
    int fd = 1;                                           // where the bytes go …
    bool raw = false;                                     // … unchanged; otherwise a terminal gets them filtered
    std::function<void(std::string_view)> on_bytes = {};  // receives them, too
  };
  LogFollower(client::Options options, What what);

  // Returns when everything is printed, or why that is impossible. Throws std::system_error when `fd` cannot be
  // written.
  std::optional<client::Failure> run();

 private:
  std::optional<client::Failure> follow();
  client::Answer<bool> look();  // whether the job has ended
  client::Answer<client::Reply> ask(client::Query more, client::Sink sink = {}, bool follow = false);
  client::Answer<std::int64_t> length();  // of attempt_
  std::optional<client::Failure> begin();
  std::optional<client::Failure> locate();

  void print(std::string_view bytes);
  void pause();
  Millis silence_max() const;

  client::Client hub_;
  const What what_;
  std::optional<TerminalFilter> filter_;
  std::int64_t newest_ = 0;   // the newest attempt when last looked at
  std::int64_t attempt_ = 0;  // where the connection began …
  std::int64_t offset_ = 0;
  std::int64_t came_ = 0;  // … and the bytes since then, perhaps of later attempts
};

}  // namespace geres::cli
