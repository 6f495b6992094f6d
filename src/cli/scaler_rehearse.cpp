// SPDX-License-Identifier: Apache-2.0
// geres scaler rehearse: what a policy would have done with jobs that were, or that a file describes. Where the jobs,
// the pool and its boot times come from is decided here; main, which knows scheduler and scaler, runs it.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iostream>
#include <map>

#include "base/duration.h"
#include "base/file.h"
#include "base/new_file.h"
#include "cli/context.h"
#include "cli/job_words.h"
#include "cli/scaler_words.h"

namespace geres::cli {
namespace {

constexpr std::size_t kJobsMax = 5'000'000;

json::object read_object(const std::string& file, const std::string& flag) {
  std::string text;
  try {
    text = read_file(file);
  } catch (const std::system_error& error) {
    cannot("the file '" + file + "' cannot be read", error.code().message(), "--" + flag + " FILE", "--" + flag);
  }
  auto parsed = json::parse(text);
  if (!parsed || !parsed->is_object())
    usage_error("'" + file + "' is not a JSON object", parsed ? "" : parsed.error().message,
                R"({"name": "messageWaitingTime", "wait": "30s"}, or a whole pool as geres scaler pool show prints it)",
                "--" + flag);
  return std::move(parsed->get_object());
}

// "45s", or "45s±10s" ("+-" for keyboards without the sign).
std::pair<Millis, Millis> boot_of(const std::string& text) {
  for (const std::string_view sign : {"±", "+-"}) {
    const auto at = text.find(sign);
    if (at == std::string::npos) continue;
    const auto mean = parse_duration(text.substr(0, at)), spread = parse_duration(text.substr(at + sign.size()));
    if (mean && spread && *spread <= *mean) return {*mean, *spread};
    usage_error("--boot '" + text + "' is not a time and how much it varies", {}, "--boot 45s±10s", "--boot");
  }
  const auto mean = parse_duration(text);
  if (!mean) usage_error("--boot '" + text + "' is not a time", mean.error().message, "--boot 45s±10s", "--boot");
  return {*mean, 0};
}

double number_of_flag(const std::string& flag, std::string text, const std::string& end, const std::string& example) {
  if (text.ends_with(end)) text.resize(text.size() - end.size());
  double number = -1;
  const auto [last, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || last != text.data() + text.size() || !(number >= 0) || !std::isfinite(number))
    usage_error("--" + flag + " '" + text + "' is not a number of at least 0", {}, "--" + flag + " " + example,
                "--" + flag);
  return number;
}

// A job as the hub shows it, or a line of a file: {"readyAt" or "submittedAt", "seconds", "slots", "tenant", "type"}.
std::optional<RehearsedJob> job_of(const json::value& from) {
  RehearsedJob job;
  const auto submitted = time_of(from, "submittedAt");
  auto ready = time_of(from, "readyAt");
  if (!ready) ready = submitted;
  if (const auto not_before = time_of(from, "notBefore"); not_before && ready) ready = std::max(*ready, *not_before);
  if (!ready) return std::nullopt;
  job.ready = *ready;
  const auto started = time_of(from, "startedAt"), finished = time_of(from, "finishedAt");
  if (const auto& seconds = member_of(from, "seconds"); seconds.is_number())
    job.length = Millis(client::real_of(from, "seconds") * 1'000);
  else if (started && finished)
    job.length = std::max<Millis>(0, *finished - *started);
  else
    return std::nullopt;
  if (job.length < 0) return std::nullopt;
  const auto& needs = member_of(from, "requires");
  job.slots = int(std::max<std::int64_t>(1, number_of(from, "slots", number_of(needs, "slots", 1))));
  if (auto tenant = text_of(from, "tenant"); !tenant.empty()) job.tenant = std::move(tenant);
  if (auto type = text_of(from, "type"); !type.empty()) job.type = std::move(type);
  return job;
}

void jobs_of_file(const std::string& file, RehearsalSettings& settings) {
  std::ifstream in(file);
  if (!in)
    cannot("the file '" + file + "' cannot be read", std::generic_category().message(errno), "--jobs jobs.jsonl",
           "--jobs");
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const auto parsed = json::parse(line);
    const auto job = parsed ? job_of(*parsed) : std::nullopt;
    if (!job)
      usage_error(
          "line " + std::to_string(number) + " of '" + file + "' is no job",
          parsed ? "readyAt (or submittedAt) and seconds are needed" : parsed.error().message,
          R"({"readyAt": "2026-11-24T10:00:00Z", "seconds": 12.5, "slots": 1, "tenant": "acme", "type": "Render"})",
          "--jobs");
    settings.jobs.push_back(*job);
    if (settings.jobs.size() > kJobsMax) usage_error("too many jobs", "at most 5,000,000", {}, "--jobs");
  }
}

void jobs_of_hub(Context& context, RehearsalSettings& settings) {
  client::Query query{{"state", "finished,failed"},
                      {"limit", "1000"},
                      {"order", "asc"},
                      {"fields", "submittedAt,notBefore,startedAt,finishedAt,requires,tenant,type"}};
  query.emplace_back("submittedAfter", context.value("from").value_or(format_time(context.now() - 86'400'000)));
  if (const auto to = context.value("to")) query.emplace_back("submittedBefore", *to);
  context.ask(context.hub().list("/v1/jobs", query, [&](const json::value& job) {
    if (const auto read = job_of(job)) settings.jobs.push_back(*read);
    return settings.jobs.size() < kJobsMax;
  }));
}

void boots_of_hub(Context& context, const std::string& pool, RehearsalSettings& settings) {
  context.ask(context.hub().list("/v1/scaler/machines", {{"pool", pool}, {"gone", "true"}}, [&](const json::value& m) {
    const auto ordered = time_of(m, "orderedAt"), ready = time_of(m, "readyAt");
    if (ordered && ready && *ready >= *ordered) settings.boots.push_back(*ready - *ordered);
    return settings.boots.size() < 10'000;
  }));
}

// The pool of the hub, or one that says nothing; in it the policy that is to be tried.
json::object pool_of(Context& context) {
  json::object pool{{"name", "rehearsed"},
                    {"provider", {{"name", "local"}}},
                    {"policy", {{"name", "messageWaitingTime"}}},
                    {"template", json::object()},
                    {"limits", json::object()}};
  if (const auto name = context.value("pool"))
    pool = context.ask(context.hub().get("/v1/scaler/pools/" + client::escaped(*name))).as_object();
  if (const auto file = context.value("policy")) {
    auto given = read_object(*file, "policy");
    if (given.contains("policy")) {
      for (auto& [name, value] : given) pool[name] = std::move(value);
    } else {
      pool["policy"] = std::move(given);
    }
  }
  pool.erase("scale");
  pool["paused"] = false, pool["mode"] = "act", pool["version"] = 1;
  return pool;
}

std::string time_words(const json::value& from, const char* member) {
  return took(Millis(client::real_of(from, member) * 1'000));
}

std::string rounded(double value, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

void print(Context& context, const json::value& report) {
  auto& output = context.output;
  Table waits({{"WAIT OF", false, true}, {"JOBS", true}, {"P50", true}, {"P95", true}, {"P99", true}, {"MOST", true}});
  for (const auto& of : items_of(member_of(report, "waits"))) {
    const auto tenant = clean(text_of(of, "tenant"));
    waits.add({tenant.empty() ? Cell("all", Colour::bold) : Cell(tenant), grouped(number_of(of, "jobs")),
               time_words(of, "p50"), time_words(of, "p95"), time_words(of, "p99"), time_words(of, "most")});
  }
  output.out(waits.text(output.look, terminal_width(1)));
  output.line("");
  const auto& hours = member_of(report, "hostHours");
  const auto row = [&](const std::string& name, const std::string& text) {
    output.line(output.grey(pad(name, 12)) + text);
  };
  row("host hours", rounded(client::real_of(hours, "ready"), 2) + " ready, of these " +
                        rounded(client::real_of(hours, "idle"), 2) + " idle; " +
                        rounded(client::real_of(hours, "booting"), 2) + " booting" +
                        (client::real_of(hours, "wasted") > 0
                             ? ", " + rounded(client::real_of(hours, "wasted"), 2) + " of hosts that never joined"
                             : ""));
  if (const auto cost = client::real_of(report, "cost"); cost > 0) row("cost", rounded(cost, 2));
  row("hosts",
      "at most " + grouped(number_of(report, "hostsMost")) + ", " + grouped(number_of(report, "ordered")) + " ordered" +
          (number_of(report, "refused") > 0 ? ", refused " + plural(number_of(report, "refused"), "time") : ""));
  row("decisions", grouped(number_of(report, "decisions")) + ", " + grouped(number_of(report, "changes")) +
                       " of them changed something");
  if (!member_of(report, "late").is_null())
    row("late", grouped(number_of(report, "late")) + " of " + plural(number_of(report, "jobs"), "job"));
  if (const auto left = number_of(report, "jobs") - number_of(report, "ended"); left > 0)
    row("never ended", plural(left, "job") + ": no host of the pool could run them, or there was none");
}

int rehearse(Context& context) {
  RehearsalSettings settings;
  settings.pool = pool_of(context);
  if (const auto file = context.value("jobs")) {
    for (const char* flag : {"from", "to"})
      if (context.has(flag))
        usage_error(std::string("--jobs and --") + flag + " do not go together", "a file is taken as a whole", {},
                    std::string("--") + flag);
    jobs_of_file(*file, settings);
  } else {
    jobs_of_hub(context, settings);
  }
  if (settings.jobs.empty())
    cannot("there are no jobs to rehearse with", "none that has ended was submitted in that time",
           "--from 7d, or --jobs FILE");
  if (const auto boot = context.value("boot"))
    std::tie(settings.boot, settings.boot_spread) = boot_of(*boot);
  else if (context.has("pool"))
    boots_of_hub(context, *context.value("pool"), settings);
  if (const auto fails = context.value("provider-fails"))
    settings.provider_fails = number_of_flag("provider-fails", *fails, "%", "2%") / 100;
  if (settings.provider_fails >= 1)
    usage_error("--provider-fails is less than 100%", {}, "--provider-fails 2%", "--provider-fails");
  settings.quota = context.integer("quota").value_or(0);
  if (context.has("quota") && settings.quota < 1) usage_error("--quota is at least 1", {}, "--quota 20", "--quota");
  if (const auto price = context.value("price")) settings.price = number_of_flag("price", *price, "/h", "0.2/h");
  settings.other_slots = int(std::clamp<std::int64_t>(context.integer("other-slots").value_or(0), 0, 100'000));
  settings.seed = std::uint32_t(context.integer("seed").value_or(1));
  if (!context.services.rehearse) throw Trouble{kUsage, "this program was built without a scaler"};
  settings.title = context.value_or("title", policy_words(settings.pool));
  const auto done = context.services.rehearse(settings);
  if (const auto file = context.value("svg")) {
    try {
      replace_file(*file, done.svg, 0644);
    } catch (const std::system_error& error) {
      cannot("the file '" + *file + "' cannot be written", error.code().message(), "--svg out.svg", "--svg");
    }
  }
  if (context.output.look.json)
    context.show_json(done.report);
  else
    print(context, done.report);
  return kDone;
}

}  // namespace

std::vector<Command> scaler_rehearse_commands() {
  return {{.path = "scaler rehearse",
           .sentence = "Try a policy on jobs that were: waits, host hours and costs, in simulated time",
           .usage = {"[--pool <pool>] [--policy <file>] [{--from <when> [--to <when>] | --jobs <file>}] [<flag>...]"},
           .examples = {"geres scaler rehearse --pool cpu --from 24h",
                        "geres scaler rehearse --pool cpu --policy tried.json --price 0.2/h --svg out.svg",
                        "geres scaler rehearse --policy tried.json --jobs jobs.jsonl --boot 45s±10s --quota 20"},
           .flags =
               {{.name = "pool",
                 .value = "POOL",
                 .help = "its settings, and how long its machines took to boot",
                 .live = Live::pools},
                {.name = "policy",
                 .value = "FILE",
                 .help = "the policy to try as JSON, or a pool with what else is to be otherwise",
                 .live = Live::files},
                {.name = "from",
                 .value = "WHEN",
                 .help = "jobs that were submitted since (default 24h)",
                 .kind = Kind::past_time},
                {.name = "to", .value = "WHEN", .help = "and before", .kind = Kind::past_time},
                {.name = "jobs",
                 .value = "FILE",
                 .help = R"(a line for each: {"readyAt": …, "seconds": 12.5, "tenant": …})",
                 .live = Live::files},
                {.name = "boot", .value = "TIME", .help = "45s±10s (default: as recorded, else 45s±10s)"},
                {.name = "provider-fails", .value = "PERCENT", .help = "so many of its calls fail (default 0%)"},
                {.name = "quota", .value = "N", .help = "machines that it makes at most", .kind = Kind::integer},
                {.name = "price", .value = "N/h", .help = "of a machine for an hour"},
                {.name = "other-slots",
                 .value = "N",
                 .help = "of hosts that are there anyway (default 0)",
                 .kind = Kind::integer},
                {.name = "seed", .value = "N", .help = "of what is left to chance (default 1)", .kind = Kind::integer},
                {.name = "title", .value = "TEXT", .help = "over the picture"},
                {.name = "svg", .value = "FILE", .help = "a picture of jobs and hosts over time", .live = Live::files}},
           .run = rehearse}};
}

}  // namespace geres::cli
