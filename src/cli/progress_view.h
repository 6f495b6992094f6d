// SPDX-License-Identifier: Apache-2.0
// How work that goes on is shown: bars that are redrawn in place (at most ten times a second, the cursor hidden and
// always restored), plain lines that only say what has changed, JSON lines, or nothing.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"

namespace geres::cli {

// What there is to see at one moment.
struct Scene {
  std::string title;                           // "photos"; empty for a single job
  std::map<std::string, std::int64_t> counts;  // by state, and "retrying" out of scheduled
  double rate = 0;                             // ended jobs a second; 0: not known
  json::array jobs;                            // running or about to be tried again; one: the job watched
  bool single = false;
  std::optional<Millis> ends_at;  // of a single job that runs: when it is likely to be done, wall time
  std::string note;               // why it waits, or that the hub is away

  std::int64_t count(const std::string& state) const;
  std::int64_t ended() const { return count("finished") + count("failed") + count("cancelled"); }
  std::int64_t total() const;
};

class ProgressView {
 public:
  virtual ~ProgressView() = default;
  virtual void show(const Scene& scene) = 0;  // as often as one likes
  virtual void redraw() {}                    // time has passed
  virtual void end() {}                       // takes bars away; nothing is shown after it
};

// When a job is likely to be done: it goes on as fast as it went since its attempt started. Found out at each change of
// its percentage and kept in between, so that the time left counts down while nothing is heard.
class Estimate {
 public:
  // Wall time; nullopt while nothing can be said. Times that have passed are no use to anybody and are not given.
  std::optional<Millis> look(const json::value& job, Millis now);

 private:
  std::int64_t attempt_ = 0;
  std::int64_t percent_ = 0;
  std::optional<Millis> ends_at_;
};

// `mode`: auto, tty, plain, json, quiet; "notes" beside output that is shown as it comes: why the job waits, and how an
// attempt ended that is not the last. `fd` is where it goes: 1 when the progress is what was asked for, else 2.
std::unique_ptr<ProgressView> make_view(const std::string& mode, const Look& look, int fd);

// Pure, for tests.
std::string bar(const Scene& scene, std::size_t width, bool colour);
std::string left_words(Millis left);  // "17 s left", "2m 5s left"
std::string percent_bar(std::int64_t percent, std::size_t width, bool colour);
std::string counts_words(const Scene& scene, bool colour);  // "159 finished  4 running", states with 0 left out
std::vector<std::string> scene_lines(const Scene& scene, std::vector<std::string>& places, int width, int height,
                                     bool colour, Millis now);

}  // namespace geres::cli
