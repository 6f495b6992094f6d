// SPDX-License-Identifier: Apache-2.0
// How ongoing work is shown: bars that are redrawn in place (at most ten times a second; the cursor is hidden and
// always restored), plain lines about changes only, JSON lines, or nothing.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"
#include "wire/api/job_view.h"

namespace geres::cli {

// What there is to show at one moment.
struct Scene {
  std::string title;                           // "photos"; empty for a single job
  std::map<std::string, std::int64_t> counts;  // by state, and "retrying" out of scheduled
  double rate = 0;                             // ended jobs per second; 0: unknown
  std::vector<wire::JobView> jobs;             // running, or waiting for a retry; or the one job that is watched
  json::value shown;                           // this one job as the hub shows it
  bool single = false;
  std::optional<Millis> ends_at;  // when a single running job will probably end, wall time
  std::string note;               // why the job waits, or that the hub is away

  std::int64_t count(const std::string& state) const;
  std::int64_t ended() const { return count("finished") + count("failed") + count("cancelled"); }
  std::int64_t total() const;
};

class ProgressView {
 public:
  virtual ~ProgressView() = default;
  virtual void show(const Scene& scene) = 0;  // may be called as often as one likes
  virtual void redraw() {}                    // time has passed
  virtual void end() {}                       // removes the bars; nothing is shown after it
};

// When a job will probably end, if it continues at the average speed of its attempt so far. Computed at each change of
// the percentage and kept in between, so that the time left counts down while nothing arrives.
class Estimate {
 public:
  // Wall time; nullopt if there is no estimate, or it has passed.
  std::optional<Millis> look(const wire::JobView& job, Millis now);

 private:
  std::int64_t attempt_ = 0;
  std::int64_t percent_ = 0;
  std::optional<Millis> ends_at_;
};

// `mode`: auto, tty, plain, json, quiet, or "notes", which goes beside output that is printed as it comes: why the job
// waits, and how attempts before the last one ended. `fd` is 1 when the progress is what was asked for, else 2.
std::unique_ptr<ProgressView> make_view(const std::string& mode, const Look& look, int fd);

// Pure, for tests.
std::string bar(const Scene& scene, std::size_t width, bool colour);
std::string left_words(Millis left);  // "17 s left", "2m 5s left"
std::string percent_bar(std::int64_t percent, std::size_t width, bool colour);
std::string counts_words(const Scene& scene, bool colour);  // "159 finished  4 running", states with 0 left out
std::vector<std::string> scene_lines(const Scene& scene, std::vector<std::string>& places, int width, int height,
                                     bool colour, Millis now);

}  // namespace geres::cli
