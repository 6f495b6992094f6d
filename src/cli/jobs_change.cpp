// SPDX-License-Identifier: Apache-2.0
// Cancel, redrive and dismiss: for one job, several, or all that a filter selects; --dry-run only counts.
#include "cli/context.h"
#include "cli/job_filter.h"
#include "cli/job_ids.h"
#include "cli/job_log.h"
#include "cli/job_words.h"
#include "cli/watch.h"

namespace geres::cli {
namespace {

struct Verb {
  std::string name;  // "redrive"
  std::string done;  // "redriven"
  bool is_redrive = false;
  bool is_dismiss = false;
  bool is_cancel() const { return !is_redrive && !is_dismiss; }
};

std::string reasons_of(const json::value& answer) {
  std::string text;
  const auto& reasons = member_of(answer, "byReason");
  if (reasons.is_object())
    for (const auto& [reason, n] : reasons.get_object())
      if (n.is_int64()) text += (text.empty() ? "" : ", ") + std::to_string(n.get_int64()) + " " + std::string(reason);
  return text.empty() ? "" : " (" + text + ")";
}

void add_reason(Context& context, json::object& body) {
  if (const auto reason = context.value("reason")) body["reason"] = *reason;
  if (const auto grace = context.value("grace")) body["grace"] = *grace;
}

// Waits for the new jobs of a redrive to end.
int wait_for(Context& context, const std::vector<std::string>& ids, const std::string& tenant) {
  auto& output = context.output;
  const auto options = [&] {
    auto options = watch_options(context, 2);
    options.come_back = "geres job list";
    return options;
  }();
  const auto start = SystemClock().monotonic();
  const auto set = watch_jobs(context, tenant, ids, "redriven", options);
  if (output.look.json)
    output.json(json::object{{"items", set.jobs}});
  else
    output.talk("redriven " + std::to_string(ids.size()) + ": " +
                done_sentence(set, SystemClock().monotonic() - start, output));
  return exit_of(set);
}

int redrive_and_wait(Context& context) {
  const auto answer = context.ask(context.hub().post("/v1/jobs/redrive", filter_body(context)));
  std::vector<std::string> made;
  for (const auto& id : items_of(member_of(answer, "ids")))
    if (id.is_string()) made.emplace_back(id.get_string());
  if (const auto count = number_of(answer, "count"); count > std::int64_t(made.size()))
    context.output.talk("redriven " + plural(count, "job") + ", of which the first " +
                        grouped(std::int64_t(made.size())) + " are watched");
  if (!made.empty()) return wait_for(context, made, context.tenant_if().value_or(""));
  if (context.output.look.json) context.output.json(json::object{{"items", json::array()}});
  context.output.hint("no jobs like that");
  return kDone;
}

int change_filtered(Context& context, const Verb& verb) {
  // GERES_TENANT alone is not a filter: so short a command must not change so many jobs.
  if (filter_words(context).empty() && !(!verb.is_cancel() && context.has("reason")))
    usage_error("'" + verb.name + "' of which jobs?", "neither a job nor a filter is given",
                "geres job " + verb.name + " last, or geres job " + verb.name + " --batch NAME" +
                    (verb.is_cancel() ? "" : " --state failed"));
  auto body = filter_body(context);
  const bool dry = context.has("dry-run");
  if (verb.is_redrive && context.has("wait") && !dry) return redrive_and_wait(context);
  if (verb.is_cancel()) add_reason(context, body);
  client::Query query;
  if (dry) query.emplace_back("dryRun", "true");
  auto& output = context.output;
  const auto answer =
      context.ask(dry || !verb.is_redrive ? context.hub().post_again("/v1/jobs/" + verb.name, body, query)
                                          : context.hub().post("/v1/jobs/" + verb.name, body, {}, query));
  const auto count = number_of(answer, "count");
  if (output.look.json)
    context.show_json(answer);
  else if (dry)
    output.line("would " + verb.name + " " + plural(count, "job") + reasons_of(answer) +
                (verb.is_redrive ? " as new jobs linked to the old ones" : ""));
  else if (output.look.out_terminal && !output.look.quiet)
    output.line(verb.done + " " + plural(count, "job") + reasons_of(answer));
  else
    output.line(std::to_string(count));
  return kDone;
}

int change_named(Context& context, const Verb& verb) {
  auto& output = context.output;
  std::vector<std::string> ids;
  for (const auto& text : context.words.arguments) ids.push_back(resolve_job(context, text));
  json::array answers;
  std::vector<std::string> made;
  for (const auto& id : ids) {
    if (context.has("dry-run")) {
      answers.push_back(context.ask(context.hub().get("/v1/jobs/" + id)));
      if (!output.look.json)
        output.line("would " + verb.name + " job " + (output.look.out_terminal ? short_id(id) : id) + ", which is " +
                    state_words(wire::job_view(answers.back())));
      continue;
    }
    json::object body;
    if (verb.is_cancel()) add_reason(context, body);
    const auto path = "/v1/jobs/" + id + "/" + verb.name;
    answers.push_back(
        context.ask(verb.is_redrive ? context.hub().post(path, body) : context.hub().post_again(path, body)));
    const auto job = wire::job_view(answers.back());
    if (verb.is_redrive) made.push_back(job.id), remember_last(job.id);
    if (output.look.json || context.has("wait")) continue;
    if (!output.look.out_terminal || output.look.quiet)
      output.line(job.id);
    else if (verb.is_redrive)
      output.line("job " + short_id(id) + " redriven as " + output.bold(short_id(job.id)) + "      " +
                  output.grey("geres watch last"));
    else if (verb.is_dismiss)
      output.line("job " + short_id(id) + " is dismissed: it stays failed, and is no open dead letter any more");
    else
      output.line("job " + short_id(id) + " " +
                  (job.ended() ? state_words(job) : "is asked to end; it is " + state_words(job)));
  }
  if (verb.is_redrive && context.has("wait") && !made.empty())
    return wait_for(context, made, wire::job_view(answers[0]).tenant);
  if (output.look.json) output.json(answers.size() == 1 ? answers[0] : json::value(answers));
  return kDone;
}

int change(Context& context, const Verb& verb) {
  if (context.words.arguments.empty()) return change_filtered(context, verb);
  const auto filter = filter_words(context);
  if (!filter.empty())
    usage_error("a job and a filter do not go together", "'" + context.words.arguments[0] + "' and " + filter, {}, {});
  return change_named(context, verb);
}

// Changes what can still be changed of a waiting job.
int set_job(Context& context) {
  json::object body;
  if (const auto priority = context.integer("priority")) body["priority"] = *priority;
  if (const auto when = context.value("not-before")) {
    body["notBefore"] = context.value_as_typed("not-before") == "now" ? json::value(nullptr) : json::value(*when);
  }
  const auto tags = context.values("tag");
  if (body.empty() && tags.empty())
    usage_error("'job set' changes what?", "no flag is given", "geres job set last --priority 5", "--priority");
  const auto id = resolve_job(context, context.words.arguments[0]);
  if (!tags.empty()) {  // the hub replaces all tags at once
    const auto job = wire::job_view(context.ask(context.hub().get("/v1/jobs/" + id)));
    json::object all;
    for (const auto& [name, value] : job.tags) all[name] = value;
    for (const auto& tag : tags) {
      const auto [name, value] = pair_of(tag);
      all[name] = value;
    }
    body["tags"] = all;
  }
  const auto job = context.ask(context.hub().patch("/v1/jobs/" + id, body));
  if (context.output.look.json)
    context.show_json(job);
  else if (!context.output.look.out_terminal || context.output.look.quiet)
    context.output.line(id);
  else
    context.output.line("job " + short_id(id) + " is changed; it is " + state_words(wire::job_view(job)));
  return kDone;
}

std::vector<Flag> change_flags(const Verb& verb) {
  auto flags = filter_flags();
  flags.push_back({.name = "dry-run", .help = "only say what would be done"});
  if (verb.is_redrive) {
    flags.push_back(reason_flag());
    flags.push_back({.name = "wait", .help = "see the new jobs through"});
    flags.push_back({.name = "progress",
                     .value = "MODE",
                     .help = "with --wait: how to show it",
                     .kind = Kind::choice,
                     .choices = {"auto", "tty", "plain", "json", "quiet"}});
  } else if (verb.is_dismiss) {
    flags.push_back(reason_flag());
  } else {
    flags.push_back({.name = "grace",
                     .value = "TIME",
                     .help = "between SIGTERM and SIGKILL (default 10s)",
                     .kind = Kind::duration});
    flags.push_back({.name = "reason", .value = "TEXT", .help = "kept with the job"});
  }
  return flags;
}

}  // namespace

std::vector<Command> job_change_commands() {
  const Verb cancel{"cancel", "cancelled", false}, redrive{"redrive", "redriven", true};
  const Verb dismiss{"dismiss", "dismissed", false, true};
  return {
      job_log_command(),
      job_files_command(),
      {.path = "job set",
       .sentence = "Change the priority, the time or the tags of a job that waits",
       .usage = {"<job> {--priority <n> | --not-before <when> | --tag <key>=<value>}..."},
       .examples = {"geres job set last --priority -5", "geres job set last --not-before now --tag customer=7"},
       .flags =
           {{.name = "priority", .value = "N", .help = "within its batch, lower first", .kind = Kind::integer},
            {.name = "not-before",
             .value = "WHEN",
             .help = "not before then: 18:00, tomorrow; now: at once",
             .kind = Kind::time},
            {.name = "tag", .value = "K=V", .help = "set this tag; the others stay", .kind = Kind::pair, .many = true}},
       .run = set_job,
       .arguments_min = 1,
       .arguments_max = 1,
       .live = Live::jobs},
      {.path = "job cancel",
       .sentence = "End jobs: waiting ones at once, running ones by SIGTERM and, after a grace, SIGKILL",
       .usage = {"<job>... [--grace <time>] [--reason <text>] [--dry-run]",
                 "{--batch <batch> | --state <state> | <other-filter>}... [--dry-run]"},
       .examples = {"geres job cancel last", "geres job cancel --batch photos --state ready --dry-run"},
       .flags = change_flags(cancel),
       .run = [cancel](Context& c) { return change(c, cancel); },
       .arguments_max = kAnyNumber,
       .live = Live::jobs},
      {.path = "job redrive",
       .sentence = "Run ended jobs again, as new jobs linked to the old ones",
       .usage = {"<job>... [--wait] [--dry-run]",
                 "{--batch <batch> | --state <state> | <other-filter>}... [--wait] [--dry-run]"},
       .examples = {"geres job redrive last --wait", "geres job redrive --batch photos --state failed --dry-run"},
       .flags = change_flags(redrive),
       .run = [redrive](Context& c) { return change(c, redrive); },
       .arguments_max = kAnyNumber,
       .live = Live::jobs},
      {.path = "job dismiss",
       .sentence = "Settle dead letters: they stay failed, but counts and --open leave them out",
       .usage = {"<job>... [--dry-run]", "{--batch <batch> | --reason <reason> | <other-filter>}... [--dry-run]"},
       .examples = {"geres job dismiss last", "geres job dismiss --batch photos --reason timeout --dry-run"},
       .flags = change_flags(dismiss),
       .run = [dismiss](Context& c) { return change(c, dismiss); },
       .arguments_max = kAnyNumber,
       .live = Live::jobs},
  };
}

}  // namespace geres::cli
