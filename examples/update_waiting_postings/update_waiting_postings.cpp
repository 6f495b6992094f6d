// SPDX-License-Identifier: Apache-2.0
// Works off waiting postings one after the other, tells how far it is, and stops between two of them when it is asked
// to. Parameters: count (20), pauseMs (time for each, 50). Files: updated.csv.
#include <geres/job.h>

#include <charconv>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>

namespace {

int number(const geres::JobContext& context, const std::string& name, int otherwise, int max) {
  const auto text = context.parameter(name);
  if (!text) return otherwise;
  int value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || value < 0 || value > max)
    throw geres::Abort(name + " must be a whole number from 0 to " + std::to_string(max) + ", not '" + *text + "'");
  return value;
}

// True if the time passed; false, at once, if the job is to stop.
bool pause(std::chrono::milliseconds time, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

class UpdateWaitingPostings {
 public:
  geres::Result run(geres::JobContext& context) {
    const int count = number(context, "count", 20, 100'000);
    const auto each = std::chrono::milliseconds(number(context, "pauseMs", 50, 60'000));
    std::ofstream updated(context.output_dir() / "updated.csv");
    updated << "posting,state\n";
    for (int done = 0; done < count; ++done) {
      context.progress(100 * done / count, "posting " + std::to_string(done + 1) + " of " + std::to_string(count));
      if (!pause(each, context.stop_token()))
        return geres::Result::failure("stopped after " + std::to_string(done) + " of " + std::to_string(count) +
                                      " postings");
      updated << done + 1 << ",updated\n";
    }
    updated.close();
    if (!updated) return geres::Result::failure("updated.csv cannot be written");
    context.progress(100);
    return geres::Result::success(std::to_string(count) + " postings updated");
  }
};

GERES_JOB("UpdateWaitingPostings", UpdateWaitingPostings)

}  // namespace
