// SPDX-License-Identifier: Apache-2.0
#include "cli/watch.h"

#include <unistd.h>

#include <deque>
#include <unordered_map>

#include "base/uuid.h"
#include "cli/job_filter.h"
#include "cli/job_ids.h"
#include "cli/job_words.h"
#include "cli/progress_view.h"

namespace geres::cli {
namespace {

constexpr Millis kPoll = 300;              // between two looks at many jobs
constexpr Millis kWhyAfter = 3'000;        // a job has waited before we ask why
constexpr Millis kPatience = 30 * 60'000;  // for a hub that is away
constexpr const char* kShown =
    "id,state,type,name,progress,attempt,failures,maxAttempts,error,reason,exit,startedAt,finishedAt,dueAt,host";

const SystemClock kClock;

// The view of a watch: kept up to date while calls wait, and removed before anything else is printed.
class Watching {
 public:
  Watching(Context& context, const WatchOptions& options)
      : context_(context), options_(options), view_(make_view(options.progress, context.output.look, options.fd)) {
    catch_interrupts();
    auto& transport = context_.hub().transport();
    transport.options().patience = kPatience;
    transport.options().on_retry = [this](const std::string& why) {
      scene.note = why.empty() ? "" : "the hub is away (" + why + "); trying again";
      if (shown_) view_->show(scene);
    };
  }
  ~Watching() {
    view_->end();
    context_.hub().transport().options().on_retry = nullptr;
  }
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;

  Scene scene;

  void show() {
    shown_ = true;
    view_->show(scene);
  }

  template <class T>
  T ask(client::Answer<T> answer) {
    if (!answer) stop(answer.error());
    return std::move(*answer);
  }

  client::Idle idle() {
    return [this] { view_->redraw(); };
  }

  void pause(Millis duration) {
    const auto end = kClock.monotonic() + duration;
    while (!interrupted() && kClock.monotonic() < end) {
      view_->redraw();
      ::usleep(20'000);
    }
    if (interrupted()) leave();
  }

 private:
  void stop(const client::Failure& failure) {
    if (failure.kind == client::Failure::Kind::stopped) leave();
    view_->end();
    context_.stop(failure);
  }

  [[noreturn]] void leave() {
    view_->end();
    throw Trouble{kInterrupted, "not watched any longer", "the jobs go on", options_.come_back, "interrupted"};
  }

  Context& context_;
  const WatchOptions& options_;
  std::unique_ptr<ProgressView> view_;
  bool shown_ = false;
};

bool waits(const JobView& job) {
  return job.state == "ready" || job.state == "blocked" || job.state == "scheduled";
}

// Ended jobs per second, over the last few seconds.
class Rate {
 public:
  double add(std::int64_t ended, Millis now) {
    seen_.emplace_back(now, ended);
    while (seen_.size() > 2 && now - seen_.front().first > 8'000) seen_.pop_front();
    const auto span = now - seen_.front().first;
    return span < 500 ? 0 : double(ended - seen_.front().second) * 1'000 / double(span);
  }

 private:
  std::deque<std::pair<Millis, std::int64_t>> seen_;
};

std::int64_t active(const Scene& scene) {
  return scene.total() - scene.ended();
}

// The exit code of the first job of the batch, by submission, that did not finish.
int exit_as_batch(Context& context, const std::string& batch) {
  client::Query query;
  if (const auto tenant = context.tenant_if()) query.emplace_back("tenant", *tenant);
  query.insert(query.end(), {{"batch", batch}, {"state", "failed,cancelled"}, {"limit", "1"}, {"order", "asc"}});
  const auto listed = context.ask(context.hub().get("/v1/jobs", query));
  return items_of(listed).empty() ? kDone : exit_as_job(wire::job_view(items_of(listed).front()));
}

int watch_command(Context& context) {
  const auto& arguments = context.words.arguments;
  if (!arguments.empty() && context.has("job"))
    usage_error("the job is given twice, as '" + arguments[0] + "' and with --job", {}, "geres watch last", "--job");
  const auto job_text = arguments.empty() ? context.value("job") : std::optional(arguments[0]);
  const auto batch = context.value("batch");
  if (job_text.has_value() == batch.has_value())
    usage_error("watch needs a job or a batch", {}, "geres watch last, or geres watch --batch NAME", "--job");
  auto& output = context.output;
  const auto start = kClock.monotonic();
  if (job_text) {
    const auto id = resolve_job(context, *job_text);
    auto options = watch_options(context, 1);
    options.come_back = "geres watch " + id;
    const auto shown = watch_job(context, context.ask(context.hub().get("/v1/jobs/" + id)), options);
    const auto job = wire::job_view(shown);
    if (output.look.json)
      context.show_json(shown);
    else
      output.line(outcome_sentence(job, output, false));
    return context.has("exit-status") ? exit_as_job(job) : job.state == "finished" ? kDone : kFailed;
  }
  auto options = watch_options(context, 1);
  options.come_back = "geres watch --batch " + *batch;
  const auto set = watch_batch(context, *batch, options);
  if (output.look.json) {
    context.show_json(context.ask(context.hub().get("/v1/batches/" + client::escaped(*batch))));
  } else {
    output.line(done_sentence(set, kClock.monotonic() - start, output));
    if (exit_of(set) != kDone) output.hint("geres job list --batch " + shell_quoted(*batch) + " --state failed");
  }
  return context.has("exit-status") ? exit_as_batch(context, *batch) : exit_of(set);
}

}  // namespace

WatchOptions watch_options(Context& context, int fd) {
  WatchOptions options;
  options.progress = context.value_or("progress", "auto");
  options.fd = fd;
  // With JSON, standard output is reserved for the one value at the end.
  if (context.output.look.json) options.fd = 2;
  return options;
}

json::value watch_job(Context& context, json::value shown, const WatchOptions& options) {
  auto job = wire::job_view(shown);
  const auto id = job.id;
  Watching watching(context, options);
  watching.scene.single = true;
  Estimate estimate;
  const auto start = kClock.monotonic();
  Millis why_at = start + kWhyAfter;
  while (!job.ended()) {
    watching.scene.jobs = {job};
    watching.scene.shown = shown;
    watching.scene.ends_at = estimate.look(job, kClock.wall());
    watching.show();
    const auto now = kClock.monotonic();
    Millis wait = 20'000;
    if (waits(job)) {
      if (now >= why_at) {
        const auto why = context.hub().get("/v1/jobs/" + id + "/why");
        if (why) watching.scene.note = why_sentence(*why);
        why_at = now + 5'000;
        watching.show();
      }
      wait = std::max<Millis>(why_at - now, 100);
    } else {
      watching.scene.note.clear();
    }
    const auto version = job.version;
    const auto before = kClock.monotonic();
    shown = watching.ask(context.hub().get_waiting("/v1/jobs/" + id, {{"sinceVersion", std::to_string(version)}}, wait,
                                                   watching.idle()));
    job = wire::job_view(shown);
    if (!waits(job)) watching.scene.note.clear();
    // No news, but the hub did not wait either: do not ask again at once.
    if (!job.ended() && job.version == version && kClock.monotonic() - before < 100) watching.pause(kPoll);
  }
  return shown;
}

WatchedSet watch_batch(Context& context, const std::string& batch, const WatchOptions& options) {
  Watching watching(context, options);
  Rate rate;
  client::Query tenant;
  if (const auto t = context.tenant_if()) tenant.emplace_back("tenant", *t);
  const auto path = "/v1/batches/" + client::escaped(batch);
  for (;;) {
    const auto now = watching.ask(context.hub().get(path, tenant));
    auto& scene = watching.scene;
    scene.title = text_of(now, "name");
    scene.counts.clear();
    for (const auto& [state, n] :
         member_of(now, "counts").is_object() ? member_of(now, "counts").get_object() : json::object())
      if (n.is_int64()) scene.counts[std::string(state)] = n.get_int64();
    scene.rate = rate.add(scene.ended(), kClock.monotonic());
    // The watch may be opened before the jobs are submitted.
    const bool to_come = scene.total() == 0 && text_of(now, "state") == "open";
    scene.note = client::flag_of(now, "paused") ? "the batch is paused: geres batch resume " + batch
                 : to_come                      ? "there are no jobs in it yet"
                                                : "";
    if (active(scene) == 0 && !to_come) {
      watching.show();
      return {scene.counts, {}};
    }
    scene.jobs.clear();
    const auto rows = std::to_string(std::clamp(terminal_height(options.fd), 10, 200));
    for (const char* state : {"running", "scheduled"}) {
      if (scene.count(state) == 0) continue;
      client::Query query = tenant;
      query.insert(query.end(),
                   {{"batch", batch}, {"state", state}, {"limit", rows}, {"order", "asc"}, {"fields", kShown}});
      const auto listed = watching.ask(context.hub().get("/v1/jobs", query));
      for (const auto& item : items_of(listed))
        if (auto job = wire::job_view(item); job.state == "running" || job.failures > 0)
          scene.jobs.push_back(std::move(job));
    }
    watching.show();
    watching.pause(kPoll);
  }
}

WatchedSet watch_jobs(Context& context, const std::string& tenant, const std::vector<std::string>& ids,
                      const std::string& title, const WatchOptions& options) {
  Watching watching(context, options);
  Rate rate;
  std::unordered_map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < ids.size(); ++i) index.emplace(ids[i], i);
  std::vector<json::value> known(ids.size());
  std::size_t first = 0;  // all before this index have ended
  for (;;) {
    const auto before = kClock.monotonic();
    // An id begins with the time at which it was made, and a list is ordered by id.
    const auto id = parse_uuid(ids[first]);
    const auto since = id ? Millis(id->high >> 16) - 1 : 0;
    client::Query query{
        {"submittedAfter", format_time(since)}, {"order", "asc"}, {"limit", "1000"}, {"fields", kShown}};
    if (!tenant.empty()) query.emplace_back("tenant", tenant);
    std::size_t left = ids.size() - first;
    watching.ask(context.hub().list("/v1/jobs", query, [&](const json::value& job) {
      const auto found = index.find(wire::job_view(job).id);
      if (found == index.end()) return true;
      known[found->second] = job;
      return found->second < first || --left > 0;
    }));
    auto& scene = watching.scene;
    scene.title = title;
    scene.counts.clear();
    scene.jobs.clear();
    for (const auto& item : known) {
      auto job = wire::job_view(item);
      ++scene.counts[item.is_null() ? "ready" : job.state];
      const bool retrying = job.state == "scheduled" && job.failures > 0;
      if (retrying) ++scene.counts["retrying"];
      if (job.state == "running" || retrying) scene.jobs.push_back(std::move(job));
    }
    scene.rate = rate.add(scene.ended(), kClock.monotonic());
    watching.show();
    while (first < ids.size() && wire::job_view(known[first]).ended()) ++first;
    if (first == ids.size()) return {scene.counts, json::array(known.begin(), known.end())};
    watching.pause(std::max<Millis>(kPoll, 4 * (kClock.monotonic() - before)));
  }
}

std::string done_sentence(const WatchedSet& set, Millis took_time, const Output& output) {
  Scene scene;
  scene.counts = set.counts;
  if (scene.total() == 0) return "there are no jobs in it";
  std::string words;
  for (const char* state : {"finished", "failed", "cancelled"})
    if (scene.count(state) > 0)
      words += (words.empty() ? "" : ", ") +
               paint(grouped(scene.count(state)) + " " + state, colour_of(state), output.look.out_colour);
  return "done in " + took(took_time) + ": " + words;
}

int exit_of(const WatchedSet& set) {
  Scene scene;
  scene.counts = set.counts;
  return scene.count("failed") + scene.count("cancelled") > 0 ? kFailed : kDone;
}

std::vector<Command> watch_commands() {
  return {
      {.path = "watch",
       .sentence = "Watch a job or a batch until it is done",
       .usage = {"{<job> | --batch <batch>} [--exit-status] [--progress <mode>]"},
       .examples = {"geres watch last", "geres watch --batch photos", "geres watch 77d0b7 --exit-status",
                    "geres watch --batch photos --progress plain"},
       .flags = {{.name = "job", .value = "JOB", .help = "the same as <job>", .live = Live::jobs},
                 batch_flag("name or id"),
                 tenant_flag(),
                 {.name = "exit-status", .help = "exit as the job did; a batch: as its first job that did not finish"},
                 {.name = "progress",
                  .value = "MODE",
                  .help = "how to show it",
                  .kind = Kind::choice,
                  .choices = {"auto", "tty", "plain", "json", "quiet"}}},
       .run = watch_command,
       .group = Group::everyday,
       .arguments_max = 1,
       .live = Live::jobs}};
}

}  // namespace geres::cli
