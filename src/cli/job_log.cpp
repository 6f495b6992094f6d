// SPDX-License-Identifier: Apache-2.0
// A job's output, as bytes: its standard output to ours, its standard error to ours. Following picks up where it was
// when the hub goes away meanwhile.
#include "cli/job_log.h"

#include <unistd.h>

#include <mutex>
#include <system_error>
#include <thread>

#include "base/file.h"
#include "cli/job_ids.h"
#include "cli/job_words.h"

namespace geres::cli {
namespace {

struct Follower {
  client::Options options;
  std::string path;
  client::Query query;
  int to = 1;
  std::optional<client::Failure> failure;

  // Ends when the log does. Bytes already shown are not asked for again.
  void run() {
    client::Client hub(options);
    std::int64_t shown = 0;
    std::string attempt;
    const bool tail = query_has("tail");
    int broken = 0;
    for (;;) {
      auto now = query;
      if (shown > 0) now.emplace_back("offset", std::to_string(shown));
      if (!attempt.empty() && !query_has("attempt")) now.emplace_back("attempt", attempt);
      const auto reply = hub.stream(path, now, [&](std::string_view piece) {
        write_all(to, piece);
        shown += std::int64_t(piece.size());
        broken = 0;
        return true;
      });
      if (reply) return;
      // With "tail" it is not known which byte was the last; the rest would begin anew.
      const bool away = reply.error().kind == client::Failure::Kind::unreachable;
      if (!away || tail || ++broken > 5) {
        failure = reply.error();
        return;
      }
      hub.transport().options().wait_for_first = true;
    }
  }

  bool query_has(const std::string& name) const {
    for (const auto& [key, value] : query)
      if (key == name) return true;
    return false;
  }
};

int log_job(Context& context) {
  const auto id = resolve_job(context, context.words.arguments[0]);
  client::Query query;
  if (const auto attempt = context.integer("attempt")) query.emplace_back("attempt", std::to_string(*attempt));
  if (const auto tail = context.integer("tail")) query.emplace_back("tail", std::to_string(*tail));
  const bool follow = context.has("follow");
  if (follow) query.emplace_back("follow", "true");
  const auto stream = context.value_or("stream", "both");
  catch_interrupts();

  std::vector<Follower> followers;
  for (const char* name : {"stdout", "stderr"}) {
    if (stream != "both" && stream != name) continue;
    Follower follower{context.hub().transport().options(),
                      "/v1/jobs/" + id + "/log",
                      query,
                      std::string_view(name) == "stderr" && stream == "both" ? 2 : 1,
                      {}};
    follower.query.emplace_back("stream", name);
    followers.push_back(std::move(follower));
  }
  if (follow && followers.size() == 2) {
    std::thread other([&] { followers[1].run(); });
    followers[0].run();
    other.join();
  } else {
    for (auto& follower : followers) follower.run();
  }
  for (const auto& follower : followers)
    if (follower.failure) context.stop(*follower.failure);
  return kDone;
}

}  // namespace

Command job_log_command() {
  return {
      .path = "job log",
      .sentence = "Print what a job has printed, of its newest attempt",
      .usage = {"<job> [-f] [--stream <stream>] [--attempt <n>] [--tail <n>]"},
      .examples = {"geres job log last", "geres job log -f 77d0b7", "geres job log last --stream stderr --attempt 1"},
      .flags = {{.name = "follow", .help = "go on until the job has ended", .letter = 'f'},
                {.name = "stream",
                 .value = "S",
                 .help = "stdout, stderr or both (default both)",
                 .kind = Kind::choice,
                 .choices = {"stdout", "stderr", "both"}},
                {.name = "attempt", .value = "N", .help = "of this attempt", .kind = Kind::integer},
                {.name = "tail", .value = "N", .help = "only the last lines", .kind = Kind::integer}},
      .run = log_job,
      .arguments_min = 1,
      .arguments_max = 1,
      .live = Live::jobs};
}

}  // namespace geres::cli
