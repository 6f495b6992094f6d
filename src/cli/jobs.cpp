// SPDX-License-Identifier: Apache-2.0
// Looking at jobs: list, show, why.
#include <algorithm>
#include <set>

#include "base/duration.h"
#include "cli/context.h"
#include "cli/event_words.h"
#include "cli/job_filter.h"
#include "cli/job_ids.h"
#include "cli/job_words.h"
#include "cli/web.h"

namespace geres::cli {
namespace {

constexpr std::int64_t kListed = 100;

Cell time_cell(const std::optional<json::Time>& at, Millis now) {
  return at ? Cell(ago(at->at, now), format_time(at->at), Colour::grey) : Cell("");
}

// What a person looks for besides the state: the last line, the progress, when the job is due.
std::string note_of(const JobView& job, Millis now) {
  if (job.state == "failed" || job.state == "cancelled") return job.error;
  if (job.state == "running") return progress_words(job);
  if (job.state != "scheduled") return "";
  std::string note = job.dueAt ? (job.dueAt->at > now ? ago(job.dueAt->at, now) : "now") : "";
  return job.failures > 0 ? "retry " + note + ": " + job.error : note;
}

std::string failed_table(const json::array& jobs, const Look& look, Millis now) {
  Table table({{"ID"},
               {"TYPE", false, true},
               {"NAME", false, true},
               {"REASON"},
               {"ATTEMPTS", true},
               {"ENDED"},
               {"LAST LINE", false, true}});
  for (const auto& shown : jobs) {
    const auto job = wire::job_view(shown);
    table.add({id_cell(job.id),
               job.type,
               job.name,
               {job.reason, Colour::red},
               std::to_string(job.attempt),
               time_cell(job.finishedAt, now),
               job.error});
  }
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
  for (const auto& shown : jobs) {
    const auto job = wire::job_view(shown);
    const auto ran = ran_for(job);
    table.add({id_cell(job.id),
               job.type,
               job.name,
               {state_words(job), job.state, colour_of(job.state)},
               job.tenant,
               batch_name(job),
               job.host,
               time_cell(job.submittedAt, now),
               ran ? Cell(took(*ran), format_duration(*ran)) : Cell(""),
               note_of(job, now)});
  }
  return table.text(look, terminal_width(1));
}

// The page reads the API's own filters.
std::string in_address(const client::Query& query) {
  std::string text;
  for (const auto& [name, value] : query) text += (text.empty() ? "?" : "&") + name + "=" + client::escaped(value);
  return text;
}

int list_jobs(Context& context) {
  auto query = filter_query(context);
  if (context.has("web")) return show_in_browser(context, "jobs" + in_address(query));
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

std::vector<wire::AttemptView> attempt_views(const json::array& attempts) {
  std::vector<wire::AttemptView> views;
  for (const auto& attempt : attempts) views.push_back(wire::attempt_view(attempt));
  return views;
}

std::string attempts_table(const std::vector<wire::AttemptView>& attempts, const Look& look, Millis now) {
  const bool memory_asked =
      std::any_of(attempts.begin(), attempts.end(), [](const auto& one) { return one.memory > 0; });
  std::vector<Column> columns{{"ATTEMPT", true},       {"HOST", false, true},   {"OUTCOME"}, {"EXIT"}, {"RAN", true},
                              {"CPU", true, false, 3}, {"PEAK", true, false, 2}};
  if (memory_asked) columns.push_back({"ASKED", true, false, 2});
  columns.insert(columns.end(), {{"ENDED", false, false, 1}, {"ERROR", false, true}});
  Table table(std::move(columns));
  for (const auto& [attempt, host, leased, start, end, outcome, error, exit, cause, usage, memory] : attempts) {
    std::vector<Cell> row{std::to_string(attempt),
                          host,
                          outcome.empty() ? "running" : outcome,
                          exit_words(exit),
                          start && end ? Cell(took(end->at - start->at)) : Cell(""),
                          usage ? Cell(took(Millis(usage->cpuSeconds * 1'000))) : Cell(""),
                          usage ? Cell(format_size(usage->maxRssBytes)) : Cell("")};
    if (memory_asked) row.push_back(memory > 0 ? Cell(format_size(memory)) : Cell(""));
    row.insert(row.end(), {end ? Cell(ago(end->at, now), format_time(end->at)) : Cell(""), Cell(error)});
    table.add(std::move(row));
  }
  return table.text(look, terminal_width(1));
}

std::string pairs(const std::map<std::string, std::string>& members) {
  std::string text;
  for (const auto& [name, value] : members) text += (text.empty() ? "" : " ") + name + "=" + value;
  return text;
}

// What to do next about a job, as commands that can be pasted.
std::string advice(const JobView& job, const std::string& id) {
  if (job.state == "failed") {
    std::string text = "geres job log " + id;
    if (!job.inputs.empty()) text += " · geres job files " + id + " --inputs";
    if (job.reason == "package" || job.reason == "type") return "geres package list --tenant " + job.tenant;
    return job.settledAt ? text : text + " · geres job redrive " + id;
  }
  if (job.state == "finished") return "geres job log " + id + " · geres job files " + id;
  if (job.state == "running") return "geres job log -f " + id + " · geres watch " + id;
  if (job.state == "cancelled") return "geres job redrive " + id;
  return "geres job why " + id;
}

// What the attempts of a failed job have in common.
std::string pattern_of(const JobView& job, const std::vector<wire::AttemptView>& attempts) {
  if (job.state != "failed" || attempts.size() < 2) return "";
  std::set<std::string> errors, hosts;
  for (const auto& attempt : attempts) errors.insert(attempt.error), hosts.insert(attempt.host);
  const auto tries = plural(std::int64_t(attempts.size()), "attempt");
  if (errors.size() > 1) return tries + " ended in " + std::to_string(errors.size()) + " different ways";
  return tries + " ended the same way on " + plural(std::int64_t(hosts.size()), "host") +
         ": another try will hardly help";
}

std::string result_of(const JobView& job) {
  auto result = job.result;
  while (!result.empty() && (result.back() == '\n' || result.back() == ' ')) result.pop_back();
  return fit(result, 300);
}

void show_details(Context& context, const JobView& job, const std::vector<wire::AttemptView>& attempts) {
  auto& output = context.output;
  const bool terminal = output.look.out_terminal;
  const auto& id = job.id;
  const auto now = context.now();
  std::string head = "job " + output.bold(terminal ? short_id(id) : id) + "   " +
                     paint(state_words(job), colour_of(job.state), output.look.out_colour) + "   tenant " + job.tenant +
                     "   batch " + batch_name(job) + "   " + clean(job.type);
  if (!job.package.empty()) head += " from " + clean(package_words(job));
  output.prose("", head, 4);
  constexpr std::string_view kIndent = "              ";
  const auto row = [&](const std::string& name, const std::string& text) {
    if (text.empty()) return;
    const auto lines = clean_lines(text, terminal ? "" : kIndent);
    output.prose("  " + output.grey(pad(name, 12)), lines, kIndent.size());
  };
  const auto when = [&](const std::optional<json::Time>& at) {
    return at ? format_time(at->at) + (terminal ? "   " + ago(at->at, now) : "") : std::string();
  };
  row("id", id);
  row("name", job.name);
  row("what", job.error);
  row("why", pattern_of(job, attempts));
  row("progress", job.ended() ? "" : progress_words(job));
  row("parameters", !job.parameters || job.parameters->is_null() ? "" : boost::json::serialize(*job.parameters));
  row("tags", pairs(job.tags));
  row("submitted", when(job.submittedAt) + (job.submittedBy.empty() ? "" : "   by " + job.submittedBy));
  row("due", job.state == "scheduled" ? when(job.dueAt) : "");
  row("started", when(job.startedAt));
  row("ended", when(job.finishedAt) + (ran_for(job) ? "   ran " + took(*ran_for(job)) : ""));
  row("redriven", (job.redriveOf.empty() ? "" : "from " + job.redriveOf + " ") +
                      (job.redrivenAs.empty() ? "" : "as " + job.redrivenAs));
  row("settled", when(job.settledAt));
  row("result", result_of(job));
  row("left out", joined(left_out_lines(job), "\n"));
  row("try", terminal ? advice(job, id.size() > 8 ? id.substr(id.size() - 8) : id) : "");
  if (!attempts.empty()) output.out(attempts_table(attempts, output.look, now));
}

int show_job(Context& context) {
  const auto id = resolve_job(context, context.words.arguments[0]);
  if (context.has("web")) return show_in_browser(context, "jobs/" + id);
  const auto job = context.ask(context.hub().get("/v1/jobs/" + id));
  if (context.output.look.json) {
    context.show_json(job, "Job");
    return kDone;
  }
  if (context.show_fields(job, "Job")) return kDone;
  const auto attempts = context.ask(context.hub().get("/v1/jobs/" + id + "/attempts"));
  show_details(context, wire::job_view(job), attempt_views(items_of(attempts)));
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
  list_flags.push_back(web_flag());
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
       .examples = {"geres job show last", "geres job show 77d0b7", "geres job show last --web"},
       .flags = {web_flag()},
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
