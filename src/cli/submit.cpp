// SPDX-License-Identifier: Apache-2.0
// Submits jobs: files and packages are sent first, then the specs, in lists that the hub accepts as a whole or not at
// all.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <system_error>

#include "base/file.h"
#include "base/uuid.h"
#include "cli/command_package.h"
#include "cli/job_filter.h"
#include "cli/job_ids.h"
#include "cli/job_words.h"
#include "cli/live_output.h"
#include "cli/submit_spec.h"
#include "cli/terminal_filter.h"
#include "cli/watch.h"

namespace geres::cli {
namespace {

constexpr std::size_t kListMax = 10'000;
constexpr std::size_t kListBytesMax = 4u << 20;

[[noreturn]] void stop_on(const Error& error) {
  cannot(error.message, {}, error.hint, error.field);
}

// Pushes what the command needs, unless the hub has it already; returns the package as NAME@SHA256.
std::string push_command(Context& context, const std::string& tenant, const CommandPlan& plan) {
  const TemporaryDirectory directory;
  const auto zip = directory.path() / "command.zip";
  const auto packed = package::pack_items(plan.items, zip);
  if (!packed) stop_on(packed.error());
  const std::string name = "cmd-" + packed->sha256.substr(0, 8);
  const auto there = context.ask(context.hub().get("/v1/packages", {{"tenant", tenant}, {"name", name}}));
  for (const auto& version : items_of(there))
    if (text_of(version, "name") == name && text_of(version, "sha256") == packed->sha256)
      return name + "@" + packed->sha256;
  context.ask(context.hub().upload("/v1/packages/" + client::escaped(tenant) + "/" + name, zip, "application/zip"));
  return name + "@" + packed->sha256;
}

// Each file once, even if many jobs share it.
void send_inputs(Context& context, std::vector<PlannedJob>& jobs) {
  std::map<std::string, std::string> sent;
  for (auto& job : jobs) {
    json::array inputs;
    for (const auto& input : job.inputs) {
      auto& sha256 = sent[input.file.string()];
      if (sha256.empty()) {
        const auto tenant = std::string(job.spec["tenant"].as_string());
        sha256 = text_of(context.ask(context.hub().upload("/v1/files/" + client::escaped(tenant), input.file,
                                                          "application/octet-stream")),
                         "sha256");
      }
      inputs.push_back(json::object{{"path", input.path}, {"sha256", sha256}});
    }
    if (!inputs.empty()) job.spec["inputs"] = inputs;
  }
}

std::string fresh_key() {
  return "cli-" + random_hex(16);
}

std::vector<std::string> post_lists(Context& context, const std::vector<PlannedJob>& jobs) {
  std::vector<std::string> ids;
  std::size_t at = 0;
  while (at < jobs.size()) {
    json::array list;
    std::size_t bytes = 0;
    const auto start = at;
    while (at < jobs.size() && list.size() < kListMax && (list.empty() || bytes < kListBytesMax)) {
      list.push_back(jobs[at].spec);
      bytes += boost::json::serialize(jobs[at++].spec).size();
    }
    auto answer = context.hub().post("/v1/jobs", list, fresh_key());
    if (!answer && start > 0) {
      auto trouble = context.trouble_of(answer.error());
      trouble.why = "the first " + std::to_string(ids.size()) + " of " + std::to_string(jobs.size()) +
                    " jobs were taken" + (trouble.why.empty() ? "" : "; " + trouble.why);
      throw trouble;
    }
    const auto taken = context.ask(std::move(answer));
    for (const auto& id : items_of(member_of(taken, "ids"))) ids.emplace_back(id.as_string());
  }
  return ids;
}

void print_result(Output& output, const JobView& job) {
  const auto& result = job.result;
  if (result.empty()) return;
  output.out(output.look.out_terminal ? for_terminal(result) : result);
  if (!result.ends_with('\n')) output.out("\n");
  if (job.resultTruncated) output.talk("note: this is its end; all of it: geres job log last");
}

// Shows a command's output as it comes, and at the end its result if that is something else.
json::value watch_command_output(Context& context, const json::value& submitted, const WatchOptions& options) {
  auto& output = context.output;
  LiveOutput live(context.hub().transport().options(), wire::job_view(submitted).id);
  const auto shown = [&] {
    try {
      return watch_job(context, submitted, options);
    } catch (const Trouble& trouble) {
      // No key was pressed, so our output cannot be written, which finish() reports better.
      if (trouble.exit == kInterrupted && interrupt_signal() == 0) live.finish();
      throw;
    }
  }();
  if (const auto failure = live.finish()) context.stop(*failure);
  const auto job = wire::job_view(shown);
  if (job.state != "finished" || output.look.err_terminal) output.talk(outcome_sentence(job, output, true));
  if (!live.shown(job.result)) print_result(output, job);
  return shown;
}

int finish_one(Context& context, const json::value& submitted) {
  auto& output = context.output;
  const auto id = wire::job_view(submitted).id;
  remember_last(id);
  if (!context.has("wait")) {
    if (output.look.json)
      context.show_json(submitted);
    else if (output.look.out_terminal && !output.look.quiet)
      output.line("job " + output.bold(short_id(id)) + " submitted      " + output.grey("geres job show last"));
    else
      output.line(id);
    return kDone;
  }
  auto options = watch_options(context, 2);
  options.come_back = "geres watch " + id;
  const bool live = context.words.dashes && !output.look.json && !context.has("progress");
  if (live) options.progress = "notes";
  const auto shown = live ? watch_command_output(context, submitted, options) : watch_job(context, submitted, options);
  const auto job = wire::job_view(shown);
  if (output.look.json) {
    context.show_json(shown);
  } else if (!live) {
    output.talk(outcome_sentence(job, output, true));
    print_result(output, job);
    if (job.state != "finished") output.hint("geres job show last · geres job log last");
  }
  if (context.has("exit-status")) return exit_as_job(job);
  return job.state == "finished" ? kDone : kFailed;
}

int finish_many(Context& context, const std::string& tenant, const std::vector<std::string>& ids, Millis submit_time) {
  auto& output = context.output;
  if (ids.empty()) return kDone;
  remember_last(ids.back());
  const auto batch = context.value("batch");
  json::array list;
  for (const auto& id : ids) list.emplace_back(id);
  if (!context.has("wait")) {
    if (output.look.json) {
      output.json(json::object{{"ids", list}});
    } else if (output.look.out_terminal && !output.look.quiet) {
      output.line((batch ? "batch " + output.bold(clean(*batch)) + "    " : "") + "submitted " +
                  plural(std::int64_t(ids.size()), "job") + " in " + took(submit_time) + "      " +
                  output.grey(batch ? "geres watch --batch " + shell_quoted(*batch) : "geres job list"));
    } else {
      std::string text;
      for (const auto& id : ids) text += id + "\n";
      output.out(text);
    }
    return kDone;
  }
  auto options = watch_options(context, 2);
  options.come_back = batch ? "geres watch --batch " + shell_quoted(*batch) : "geres job list";
  const auto start = SystemClock().monotonic();
  const auto set = watch_jobs(context, tenant, ids, batch.value_or("jobs"), options);
  if (output.look.json) {
    output.json(json::object{{"items", set.jobs}});
  } else {
    output.talk(done_sentence(set, SystemClock().monotonic() - start, output));
    if (exit_of(set) != kDone)
      output.hint("geres job list" + (batch ? " --batch " + shell_quoted(*batch) : "") + " --state failed");
  }
  if (context.has("exit-status"))
    for (const auto& item : set.jobs)
      if (const auto job = wire::job_view(item); job.state != "finished") return exit_as_job(job);
  return exit_of(set);
}

void check_combination(Context& context) {
  if (context.words.dashes) {
    for (const char* flag : {"package", "type"})
      if (context.has(flag))
        usage_error("--" + std::string(flag) + " does not go with a command",
                    "the words after -- are the package and the type", {}, "--" + std::string(flag));
    if (context.words.after_dashes.empty() || context.words.after_dashes[0].empty())
      usage_error(context.words.after_dashes.empty() ? "nothing follows the --" : "the command is empty", {},
                  "geres submit -- echo hello", "--");
  } else {
    if (!context.has("type"))
      usage_error("no job type and no command", {}, "--type X --package P, or a command: geres submit -- echo hello",
                  "--type");
    for (const char* flag : {"stdin", "env"})
      if (context.has(flag))
        usage_error("--" + std::string(flag) + " is for a command", "a package's job gets parameters and inputs",
                    "--param, --input", "--" + std::string(flag));
  }
  if (context.has("exit-status") && !context.has("wait"))
    usage_error("--exit-status needs --wait", {}, "--wait --exit-status", "--exit-status");
}

// NAME=VALUE, or NAME for its value here.
CommandAround around_of(Context& context) {
  CommandAround around;
  for (const auto& text : context.values("env")) {
    const auto equals = text.find('=');
    const auto name = text.substr(0, equals);
    const char* here = equals == std::string::npos ? std::getenv(name.c_str()) : nullptr;
    if (name.empty()) usage_error("--env '" + text + "' has no name", {}, "--env NAME=VALUE", "--env");
    if (equals == std::string::npos && here == nullptr)
      cannot("--env '" + text + "' has no value", "no variable '" + name + "' is set here", "--env NAME=VALUE",
             "--env");
    around.environment[name] = here != nullptr ? here : text.substr(equals + 1);
  }
  around.stdin_file = context.has("stdin");
  return around;
}

// Copies all of standard input into a file.
std::filesystem::path spool_stdin(const std::filesystem::path& directory) {
  const auto file = directory / "stdin";
  const Fd to(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!to) throw std::system_error(errno, std::generic_category(), "make " + file.string());
  std::string piece(1 << 20, '\0');
  for (;;) {
    const ssize_t got = ::read(0, piece.data(), piece.size());
    if (got < 0 && errno == EINTR && !interrupted()) continue;
    if (got < 0) throw std::system_error(errno, std::generic_category(), "read standard input");
    if (got == 0) return file;
    write_all(to.get(), std::string_view(piece).substr(0, std::size_t(got)));
  }
}

// Otherwise what was piped in for the command would silently be ignored.
bool stdin_has_something() {
  struct stat facts {};
  if (::fstat(0, &facts) != 0) return false;
  if (S_ISREG(facts.st_mode)) return facts.st_size > 0;
  pollfd now{0, POLLIN, 0};
  return S_ISFIFO(facts.st_mode) && ::poll(&now, 1, 0) == 1 && (now.revents & POLLIN) != 0;
}

int submit(Context& context) {
  check_combination(context);
  const auto tenant = context.tenant();
  json::object extra;
  CommandPlan plan;
  std::optional<TemporaryDirectory> spool;
  if (context.words.dashes) {
    const auto around = around_of(context);
    auto made = plan_command(context.words.after_dashes, placeholders(context), around);
    if (!made) stop_on(made.error());
    plan = std::move(*made);
    extra = plan.parameters;
    for (const auto& directory : plan.directories)
      context.output.talk("note: '" + directory +
                          "' is a directory and stays here; a package takes it along: geres package push");
    if (!around.stdin_file && stdin_has_something())
      context.output.talk("note: standard input is not handed on; --stdin does");
  }
  auto jobs = plan_jobs(context, extra, plan.title);
  if (context.words.dashes) {
    if (context.has("stdin")) {
      const auto file = spool_stdin(spool.emplace().path());
      for (auto& job : jobs) job.inputs.push_back({kStdinPlace, file});
    }
    const auto package = push_command(context, tenant, plan);
    for (auto& job : jobs) {
      job.spec["package"] = package, job.spec["type"] = plan.type;
      // Somebody who types a command wants to see it fail once, not several times.
      if (!job.spec.contains("maxAttempts")) job.spec["maxAttempts"] = 1;
    }
  }
  send_inputs(context, jobs);
  const auto start = SystemClock().monotonic();
  if (jobs.size() == 1 && !context.has("each-input")) {
    // The spec may contain the user's own key, and the header must agree with it.
    const auto key = context.value("key");
    return finish_one(context, context.ask(context.hub().post("/v1/jobs", jobs[0].spec, key ? *key : fresh_key())));
  }
  const auto ids = post_lists(context, jobs);
  return finish_many(context, tenant, ids, SystemClock().monotonic() - start);
}

}  // namespace

std::vector<Command> submit_commands() {
  return {{.path = "submit",
           .sentence = "Hand in a job, or many",
           .usage = {"[--tenant <tenant>] --type <type> [--package <package>] [<flag>...]",
                     "[--tenant <tenant>] --each-input <glob>... [<flag>...]",
                     "[--tenant <tenant>] [<flag>...] [--] <command> [<arg>...]"},
           .examples = {"geres submit --wait echo hello", "geres submit --wait --stdin -- wc -l",
                        "geres submit --tenant demo --type Thumbnail --package thumbnails --param picture={input} "
                        "--each-input 'photos/*.jpg' --batch photos",
                        "geres submit --count 100 --delay 10m -- sh -c 'date > $GERES_RESULT'"},
           .flags = submit_flags(),
           .run = submit,
           .group = Group::everyday,
           .arguments_max = kAnyNumber,
           .live = Live::files,
           .takes_words = true}};
}

}  // namespace geres::cli
