// SPDX-License-Identifier: Apache-2.0
// Looking at jobs: list, show, why.
#include <set>

#include "base/duration.h"
#include "cli/context.h"
#include "cli/event_words.h"
#include "cli/job_filter.h"
#include "cli/job_ids.h"
#include "cli/job_words.h"

namespace geres::cli {
namespace {

constexpr std::int64_t kListed = 100;

Cell time_cell(const json::value& job, std::string_view member, Millis now) {
  const auto at = time_of(job, member);
  return at ? Cell(ago(*at, now), text_of(job, member), Colour::grey) : Cell("");
}

std::string name_of(const json::value& job) {
  return text_of(job, "name");
}

// What a person looks for besides the state: the last line, the progress, when the job is due.
std::string note_of(const json::value& job, Millis now) {
  const auto state = state_of(job);
  if (state == "failed" || state == "cancelled") return text_of(job, "error");
  if (state == "running") return progress_words(job);
  if (state == "scheduled") {
    const auto due = time_of(job, "dueAt");
    std::string note = due ? (*due > now ? ago(*due, now) : "now") : "";
    if (number_of(job, "failures") > 0) note = "retry " + note + ": " + text_of(job, "error");
    return note;
  }
  return "";
}

std::string failed_table(const json::array& jobs, const Look& look, Millis now) {
  Table table({{"ID"},
               {"TYPE", false, true},
               {"NAME", false, true},
               {"REASON"},
               {"ATTEMPTS", true},
               {"ENDED"},
               {"LAST LINE", false, true}});
  for (const auto& job : jobs)
    table.add({id_cell(job),
               text_of(job, "type"),
               name_of(job),
               {text_of(job, "reason"), Colour::red},
               std::to_string(number_of(job, "attempt")),
               time_cell(job, "finishedAt", now),
               text_of(job, "error")});
  return table.text(look, terminal_width(1));
}

std::string jobs_table(const json::array& jobs, const Look& look, Millis now) {
  Table table({{"ID"},
               {"TYPE", false, true},
               {"NAME", false, true},
               {"STATE"},
               {"TENANT", false, true, 5},
               {"BATCH", false, true, 4},
               {"HOST", false, true, 3},
               {"SUBMITTED", false, false, 1},
               {"RAN", true, false, 2},
               {"NOTE", false, true}});
  for (const auto& job : jobs) {
    const auto ran = ran_for(job);
    table.add({id_cell(job),
               text_of(job, "type"),
               name_of(job),
               {state_words(job), state_of(job), colour_of(state_of(job))},
               text_of(job, "tenant"),
               batch_name(job),
               text_of(job, "host"),
               time_cell(job, "submittedAt", now),
               ran ? Cell(took(*ran), format_duration(*ran)) : Cell(""),
               note_of(job, now)});
  }
  return table.text(look, terminal_width(1));
}

int list_jobs(Context& context) {
  auto query = filter_query(context);
  const auto limit = context.integer("limit").value_or(kListed);
  if (limit < 1) usage_error("--limit is at least 1", {}, "--limit 100", "--limit");
  query.emplace_back("limit", std::to_string(std::min<std::int64_t>(limit, 1'000)));
  if (context.has("oldest")) query.emplace_back("order", "asc");
  if (context.has("open")) query.emplace_back("open", "true");
  if (context.output.look.json && !context.output.look.fields.empty())
    query.emplace_back("fields", joined(context.output.look.fields, ","));
  json::array jobs;
  bool more = false;
  context.ask(context.hub().list("/v1/jobs", query, [&](const json::value& job) {
    if (std::int64_t(jobs.size()) == limit) return !(more = true);
    jobs.push_back(job);
    return true;
  }));
  auto& output = context.output;
  if (output.look.json) {
    output.json(json::object{{"items", jobs}});
    return kDone;
  }
  if (context.show_fields(jobs, "Job")) return kDone;
  const auto state = context.value_or("state", "");
  if (jobs.empty()) {
    output.hint("no " + (state.empty() ? "" : state + " ") + "jobs" +
                (context.words.flags.empty() ? "" : " like that"));
    return kDone;
  }
  output.out(state == "failed" ? failed_table(jobs, output.look, context.now())
                               : jobs_table(jobs, output.look, context.now()));
  if (more) output.hint("more: --limit " + std::to_string(limit * 10));
  return kDone;
}

std::string attempts_table(const json::array& attempts, const Look& look, Millis now) {
  Table table({{"ATTEMPT", true},
               {"HOST", false, true},
               {"OUTCOME"},
               {"EXIT"},
               {"RAN", true},
               {"CPU", true, false, 3},
               {"PEAK", true, false, 2},
               {"ENDED", false, false, 1},
               {"ERROR", false, true}});
  for (const auto& attempt : attempts) {
    const auto start = time_of(attempt, "startedAt"), end = time_of(attempt, "endedAt");
    const auto& usage = member_of(attempt, "usage");
    const bool known = usage.is_object();
    const auto outcome = text_of(attempt, "outcome");
    table.add({std::to_string(number_of(attempt, "attempt")), text_of(attempt, "host"),
               outcome.empty() ? "running" : outcome, exit_words(attempt),
               start && end ? Cell(took(*end - *start)) : Cell(""),
               known ? Cell(took(Millis(client::real_of(usage, "cpuSeconds") * 1'000))) : Cell(""),
               known ? Cell(format_size(number_of(usage, "maxRssBytes"))) : Cell(""),
               end ? Cell(ago(*end, now), text_of(attempt, "endedAt")) : Cell(""), text_of(attempt, "error")});
  }
  return table.text(look, terminal_width(1));
}

std::string pairs(const json::value& object) {
  std::string text;
  if (object.is_object())
    for (const auto& [name, v] : object.get_object())
      text += (text.empty() ? "" : " ") + std::string(name) + "=" +
              (v.is_string() ? std::string(v.get_string()) : boost::json::serialize(v));
  return text;
}

// What to do next about a job, as commands that can be pasted.
std::string advice(const json::value& job, const std::string& id) {
  const auto state = state_of(job), reason = text_of(job, "reason");
  if (state == "failed") {
    std::string text = "geres job log " + id;
    if (items_of(member_of(job, "inputs")).size() > 0) text += " · geres job files " + id + " --inputs";
    if (reason == "package" || reason == "type") return "geres package list --tenant " + text_of(job, "tenant");
    return text_of(job, "settledAt").empty() ? text + " · geres job redrive " + id : text;
  }
  if (state == "finished") return "geres job log " + id + " · geres job files " + id;
  if (state == "running") return "geres job log -f " + id + " · geres watch " + id;
  if (state == "cancelled") return "geres job redrive " + id;
  return "geres job why " + id;
}

// What the attempts of a failed job have in common.
std::string pattern_of(const json::value& job, const json::array& attempts) {
  if (state_of(job) != "failed" || attempts.size() < 2) return "";
  std::set<std::string> errors, hosts;
  for (const auto& attempt : attempts) errors.insert(text_of(attempt, "error")), hosts.insert(text_of(attempt, "host"));
  const auto tries = plural(std::int64_t(attempts.size()), "attempt");
  if (errors.size() > 1) return tries + " ended in " + std::to_string(errors.size()) + " different ways";
  return tries + " ended the same way on " + plural(std::int64_t(hosts.size()), "host") +
         ": another try will hardly help";
}

void show_details(Context& context, const json::value& job, const json::array& attempts) {
  auto& output = context.output;
  const bool terminal = output.look.out_terminal;
  const auto id = text_of(job, "id");
  const auto now = context.now();
  std::string head = "job " + output.bold(terminal ? short_id(id) : id) + "   " +
                     paint(state_words(job), colour_of(state_of(job)), output.look.out_colour) + "   tenant " +
                     text_of(job, "tenant") + "   batch " + batch_name(job) + "   " + clean(text_of(job, "type"));
  if (!text_of(job, "package").empty()) head += " from " + clean(package_words(job));
  output.prose("", head, 4);
  constexpr std::string_view kIndent = "              ";
  const auto row = [&](const std::string& name, const std::string& text) {
    if (text.empty()) return;
    const auto lines = clean_lines(text, terminal ? "" : kIndent);
    output.prose("  " + output.grey(pad(name, 12)), lines, kIndent.size());
  };
  const auto when = [&](std::string_view member) {
    const auto at = time_of(job, member);
    return at ? text_of(job, member) + (terminal ? "   " + ago(*at, now) : "") : std::string();
  };
  row("id", id);
  row("name", name_of(job));
  row("what", text_of(job, "error"));
  row("why", pattern_of(job, attempts));
  row("progress", ended(job) ? "" : progress_words(job));
  row("parameters", member_of(job, "parameters").is_null() ? "" : boost::json::serialize(member_of(job, "parameters")));
  row("tags", pairs(member_of(job, "tags")));
  row("submitted",
      when("submittedAt") + (text_of(job, "submittedBy").empty() ? "" : "   by " + text_of(job, "submittedBy")));
  row("due", state_of(job) == "scheduled" ? when("dueAt") : "");
  row("started", when("startedAt"));
  row("ended", when("finishedAt") + (ran_for(job) ? "   ran " + took(*ran_for(job)) : ""));
  row("redriven", (text_of(job, "redriveOf").empty() ? "" : "from " + text_of(job, "redriveOf") + " ") +
                      (text_of(job, "redrivenAs").empty() ? "" : "as " + text_of(job, "redrivenAs")));
  row("settled", when("settledAt"));
  auto result = text_of(job, "result");
  while (!result.empty() && (result.back() == '\n' || result.back() == ' ')) result.pop_back();
  row("result", fit(result, 300));
  row("left out", joined(left_out_lines(job), "\n"));
  row("try", terminal ? advice(job, id.size() > 8 ? id.substr(id.size() - 8) : id) : "");
  if (!attempts.empty()) output.out(attempts_table(attempts, output.look, now));
}

int show_job(Context& context) {
  const auto id = resolve_job(context, context.words.arguments[0]);
  const auto job = context.ask(context.hub().get("/v1/jobs/" + id));
  if (context.output.look.json) {
    context.show_json(job, "Job");
    return kDone;
  }
  if (context.show_fields(job, "Job")) return kDone;
  const auto attempts = context.ask(context.hub().get("/v1/jobs/" + id + "/attempts"));
  show_details(context, job, items_of(attempts));
  return kDone;
}

int why_job(Context& context) {
  const auto id = resolve_job(context, context.words.arguments[0]);
  const auto why = context.ask(context.hub().get("/v1/jobs/" + id + "/why"));
  if (context.output.look.json) {
    context.show_json(why);
    return kDone;
  }
  context.output.prose(
      "", "job " + (context.output.look.out_terminal ? short_id(id) : id) + ": " + clean(why_sentence(why)), 4);
  for (const auto& reason : items_of(member_of(why, "reasons"))) {
    const auto message = text_of(reason, "message");
    if (!message.empty() && message != why_sentence(why)) context.output.prose("  ", clean(message), 4);
  }
  return kDone;
}

int job_events(Context& context) {
  const auto id = resolve_job(context, context.words.arguments[0]);
  json::array events;
  context.ask(context.hub().list("/v1/jobs/" + id + "/events", {{"limit", "1000"}}, [&](const json::value& event) {
    events.push_back(event);
    return true;
  }));
  auto& output = context.output;
  if (output.look.json) {
    output.json(json::object{{"items", events}});
    return kDone;
  }
  if (context.show_fields(events, "Event")) return kDone;
  Table table({{"WHEN"}, {"EVENT"}, {"ATTEMPT", true}, {"DETAIL", false, true}});
  for (const auto& event : events) {
    const auto at = time_of(event, "time");
    auto type = text_of(event, "type");
    if (type.starts_with("geres.job.")) type.erase(0, 10);
    const auto& data = member_of(event, "data");
    const auto attempt = number_of(data, "attempt");
    table.add({at ? Cell(ago(*at, context.now()), text_of(event, "time"), Colour::grey) : Cell(""), type,
               attempt > 0 ? std::to_string(attempt) : "", event_words("job." + type, data, at)});
  }
  output.out(table.text(output.look, terminal_width(1)));
  return kDone;
}

}  // namespace

std::string why_sentence(const json::value& why) {
  const auto summary = text_of(why, "summary");
  if (!summary.empty()) return summary;
  std::string text;
  for (const auto& reason : items_of(member_of(why, "reasons")))
    text += (text.empty() ? "" : "; ") + text_of(reason, "message");
  if (const auto ahead = number_of(why, "ahead"); ahead > 0)
    text += (text.empty() ? "" : "; ") + plural(ahead, "job") + " ahead";
  return text.empty() ? "nothing holds it back: the next free slot is its" : text;
}

std::vector<Command> job_commands() {
  std::vector<Flag> list_flags = filter_flags();
  list_flags.push_back(reason_flag());
  list_flags.push_back({.name = "limit", .value = "N", .help = "how many (default 100)", .kind = Kind::integer});
  list_flags.push_back({.name = "open", .help = "no dead letters that were dismissed, or run again with success"});
  list_flags.push_back({.name = "oldest", .help = "the oldest first"});
  return {
      {.path = "job",
       .sentence = "Look at jobs, read their logs, fetch their files, cancel or repeat them",
       .examples = {"geres job list", "geres job show last"},
       .group = Group::everyday},
      {.path = "job list",
       .sentence = "List jobs, the newest first",
       .usage = {"[<flag>...]"},
       .examples = {"geres job list", "geres job list --batch photos --state failed --open",
                    "geres job list --tag customer=7 --output json --fields id,state"},
       .flags = std::move(list_flags),
       .run = list_jobs},
      {.path = "job show",
       .sentence = "Show one job with its attempts",
       .usage = {"<job>"},
       .examples = {"geres job show last", "geres job show 77d0b7"},
       .run = show_job,
       .arguments_min = 1,
       .arguments_max = 1,
       .live = Live::jobs},
      {.path = "job why",
       .sentence = "Say what a job is waiting for",
       .usage = {"<job>"},
       .examples = {"geres job why last"},
       .run = why_job,
       .arguments_min = 1,
       .arguments_max = 1,
       .live = Live::jobs},
      {.path = "job events",
       .sentence = "Show what has happened to a job, in order",
       .usage = {"<job>"},
       .examples = {"geres job events last", "geres job events last --output json"},
       .run = job_events,
       .arguments_min = 1,
       .arguments_max = 1,
       .live = Live::jobs},
  };
}

}  // namespace geres::cli
