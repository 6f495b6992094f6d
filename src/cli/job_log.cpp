// SPDX-License-Identifier: Apache-2.0
// A job's output as bytes: its standard output to ours, its standard error to ours. A terminal gets only what is
// harmless there (terminal_filter.h). With --follow, printing continues at the same position after the hub was away.
#include "cli/job_log.h"

#include <future>
#include <utility>

#include "cli/context.h"
#include "cli/job_ids.h"
#include "cli/log_follower.h"

namespace geres::cli {
namespace {

// Says on a terminal that the hub is away, once per absence.
std::function<void(const std::string&)> told_once(Output& output) {
  return [&output, told = false](const std::string& why) mutable {
    if (!why.empty() && !std::exchange(told, true)) output.hint("the hub is away (" + why + "); trying again");
    if (why.empty()) told = false;
  };
}

int log_job(Context& context) {
  const auto id = resolve_job(context, context.words.arguments[0]);
  LogFollower::What what{id};
  what.attempt = context.integer("attempt");
  what.tail = context.integer("tail");
  what.follow = context.has("follow");
  what.raw = context.has("raw");
  const auto stream = context.value_or("stream", "both");
  const bool both = stream == "both";
  catch_interrupts();

  std::vector<std::future<std::optional<client::Failure>>> printed;
  for (const char* name : {"stdout", "stderr"}) {
    if (!both && stream != name) continue;
    what.stream = name;
    what.fd = both && what.stream == "stderr" ? 2 : 1;
    auto options = context.hub().transport().options();
    if (printed.empty()) options.on_retry = told_once(context.output);
    auto print = [options, what] {
      try {
        return LogFollower(options, what).run();
      } catch (...) {
        interrupted() = true;  // ends the other stream as well, because half of the output is of no use
        throw;
      }
    };
    // In parallel while they grow, else one after the other.
    printed.push_back(std::async(what.follow ? std::launch::async : std::launch::deferred, std::move(print)));
  }
  std::vector<std::optional<client::Failure>> failures;
  for (auto& one : printed) failures.push_back(one.get());
  for (const auto& failure : failures)
    if (failure) context.stop(*failure);
  return kDone;
}

}  // namespace

Command job_log_command() {
  return {.path = "job log",
          .sentence = "Print what a job has printed, of its newest attempt",
          .usage = {"<job> [-f] [--stream <stream>] [--attempt <n>] [--tail <n>] [--raw]"},
          .examples = {"geres job log last", "geres job log -f 77d0b7 --tail 20",
                       "geres job log last --stream stderr --attempt 1"},
          .flags = {{.name = "follow", .help = "go on until the job has ended, over all attempts", .letter = 'f'},
                    {.name = "stream",
                     .value = "S",
                     .help = "stdout, stderr or both (default both)",
                     .kind = Kind::choice,
                     .choices = {"stdout", "stderr", "both"}},
                    {.name = "attempt", .value = "N", .help = "of this attempt", .kind = Kind::integer},
                    {.name = "tail", .value = "N", .help = "only the last lines", .kind = Kind::integer},
                    {.name = "raw", .help = "on a terminal, too, every byte as it is; else colours alone pass"}},
          .run = log_job,
          .arguments_min = 1,
          .arguments_max = 1,
          .live = Live::jobs};
}

}  // namespace geres::cli
