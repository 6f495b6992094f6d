// SPDX-License-Identifier: Apache-2.0
// An application that runs jobs in its own process: counts the words of texts, as they are handed in.
//   word_worker          until SIGINT or SIGTERM; GERES_HUB and GERES_TOKEN say where and who
#include <geres/worker.h>

#include <cstdio>
#include <sstream>

namespace {

namespace worker = geres::worker;

// [handler]
worker::Result count_words(worker::Job& job) {
  std::istringstream text(job.required_parameter("text"));
  int words = 0;
  for (std::string word; text >> word; ++words) {
    if (job.stop_token().stop_requested()) return worker::Result::failure("stopped");
    job.progress("at the word " + word);
  }
  return worker::Result::success(std::to_string(words));
}
// [handler]

}  // namespace

int main() {
  try {
    // [main]
    worker::Worker app({.prefetch = 100});  // GERES_HUB, GERES_TOKEN
    app.handle("CountWords", count_words);
    app.run_until_signal();
    // [main]
    std::printf("%lld jobs done\n", static_cast<long long>(app.stats().finished));
    return 0;
  } catch (const worker::Error& error) {
    std::fprintf(stderr, "error: %s\n  try: %s\n", error.what(), error.hint().c_str());
    return 1;
  }
}
