// SPDX-License-Identifier: Apache-2.0
// What needs attention, on one screen.
#include <algorithm>

#include "cli/context.h"
#include "cli/job_filter.h"
#include "cli/job_words.h"
#include "cli/progress_view.h"
#include "cli/status_words.h"
#include "cli/web.h"

namespace geres::cli {
namespace {

std::string store_words(const json::value& info) {
  const auto& store = member_of(info, "store");
  const auto kind = text_of(store, "kind");
  std::string text = kind == "sqlite" ? "SQLite" : kind == "postgres" ? "PostgreSQL" : kind;
  if (member_of(store, "meanCommitMs").is_number()) {
    char time[48];
    std::snprintf(time, sizeof time, ", mean commit %.1f ms", client::real_of(store, "meanCommitMs"));
    text += time;
  }
  return text;
}

// For a hub without an overview: put together from its lists.
json::value gather(Context& context) {
  json::object jobs, hosts;
  context.ask(context.hub().list("/v1/batches", {}, [&](const json::value& batch) {
    const auto& counts = member_of(batch, "counts");
    if (counts.is_object())
      for (const auto& [state, n] : counts.get_object())
        jobs[state] = number_of(jobs, state) + number_of(counts, state);
    return true;
  }));
  std::int64_t live = 0, slots = 0, busy = 0;
  context.ask(context.hub().list("/v1/hosts", {}, [&](const json::value& host) {
    const auto state = text_of(host, "state");
    if (state != "live" && !state.empty()) return true;
    ++live;
    slots += number_of(host, "slots");
    busy += number_of(host, "busy");
    return true;
  }));
  hosts = {{"live", live}, {"slots", slots}, {"busy", busy}};
  return json::object{{"jobs", jobs}, {"hosts", hosts}};
}

}  // namespace

std::string jobs_line(const json::value& status, const Output& output) {
  const auto& jobs = member_of(status, "jobs");
  const auto running = number_of(jobs, "running") + number_of(jobs, "leased");
  std::string text = grouped(running) + " running · " + grouped(number_of(jobs, "ready")) + " ready · " +
                     grouped(number_of(jobs, "scheduled")) + " scheduled · ";
  const auto& hour = member_of(status, "lastHour");
  const auto& from = hour.is_object() ? hour : jobs;
  const auto failed = number_of(from, "failed");
  text += grouped(number_of(from, "finished")) + " finished, " +
          paint(grouped(failed) + " failed", failed > 0 ? Colour::red : Colour::none, output.look.out_colour);
  return text + (hour.is_object() ? " in the last hour" : "");
}

namespace {

// " (h1, h2, h3 and 4 more)", or nothing: the names of these hosts.
std::string names_of(const json::value& hosts, const char* kind, std::int64_t count) {
  constexpr std::size_t kShown = 3;
  const auto& names = member_of(member_of(hosts, "names"), kind);
  if (!names.is_array() || names.get_array().empty()) return {};
  std::string text;
  std::size_t shown = 0;
  for (const auto& name : names.get_array()) {
    if (shown == kShown) break;
    if (name.is_string()) text += (shown++ > 0 ? ", " : "") + clean(std::string(name.get_string()));
  }
  if (count > std::int64_t(shown)) text += " and " + grouped(count - std::int64_t(shown)) + " more";
  return " (" + text + ")";
}

}  // namespace

std::string trouble_words(const json::value& hosts, const Output& output) {
  std::string text;
  for (const auto& [kind, colour] :
       {std::pair("lost", Colour::red), std::pair("resting", Colour::yellow), std::pair("draining", Colour::none)}) {
    const auto count = number_of(hosts, kind);
    if (count > 0)
      text += (text.empty() ? "" : ", ") + paint(grouped(count) + " " + kind, colour, output.look.out_colour) +
              names_of(hosts, kind, count);
  }
  return text;
}

std::string hosts_line(const json::value& hosts, const std::string& url, const Output& output) {
  const auto live = number_of(hosts, "live"), draining = number_of(hosts, "draining");
  const auto trouble = trouble_words(hosts, output);
  const auto all_rest = live > 0 && number_of(hosts, "resting") == live;
  const auto none = paint("none: nothing can run", Colour::red, output.look.out_colour);
  if (live == 0 && draining == 0)
    return none + (trouble.empty() ? "" : ", " + trouble) + "      geres host --hub " + url;
  if (live == 0) return none + ", " + trouble + "      geres hosts resume NAME";
  return std::to_string(live) + " live, " + plural(number_of(hosts, "slots"), "slot") + ", " +
         std::to_string(number_of(hosts, "busy")) + " busy" + (trouble.empty() ? "" : ", " + trouble) +
         (all_rest ? ": " + paint("nothing can start", Colour::red, output.look.out_colour) + "      geres hosts" : "");
}

namespace {

void show(Context& context, const json::value& info, const json::value& status) {
  auto& output = context.output;
  constexpr std::size_t kNameColumns = 12;
  const std::size_t width = output.look.out_terminal ? std::size_t(terminal_width(1)) : std::string::npos;
  const auto row = [&](const std::string& name, const std::string& text) {
    const bool wraps = width != std::string::npos && width > 2 * kNameColumns;
    output.line(output.grey(pad(name, kNameColumns)) +
                (wraps ? wrapped(text, width - kNameColumns, std::string(kNameColumns, ' ')) : text));
  };
  const auto& takes = member_of(status, "takesJobs");
  const bool ok = !takes.is_bool() || takes.get_bool();
  std::string hub =
      ok ? paint("ok", Colour::green, output.look.out_colour)
         : paint("takes no jobs", Colour::red, output.look.out_colour) + ": " + clean(text_of(status, "why"));
  hub += "   " + text_of(info, "version");
  if (const auto since = time_of(info, "startedAt")) hub += "   up " + took(context.now() - *since);
  row("hub", hub + "   " + context.hub_url());
  row("store", store_words(info));
  const auto& hosts = member_of(status, "hosts");
  row("hosts", hosts_line(hosts, context.hub_url(), output));
  row("jobs", jobs_line(status, output));
  const auto& oldest = member_of(status, "oldestWaiting");
  if (oldest.is_object()) {
    const auto id = text_of(oldest, "id");
    const auto since = time_of(oldest, "since");
    std::string text = (output.look.out_terminal ? short_id(id) : id) + "  " + clean(text_of(oldest, "type")) +
                       (since ? ", waits for " + took(context.now() - *since) : "");
    const auto why = context.hub().get("/v1/jobs/" + id + "/why");
    if (why) text += ": " + clean(why_sentence(*why));
    row("oldest", text);
  }
  const auto& failed = member_of(status, "failed");
  if (failed.is_object() && !failed.get_object().empty()) {
    std::string text;
    for (const auto& [reason, n] : failed.get_object())
      if (n.is_int64() && n.get_int64() > 0)
        text += (text.empty() ? "" : " · ") + grouped(n.get_int64()) + " " + std::string(reason);
    if (!text.empty())
      row("failed", paint(text, Colour::red, output.look.out_colour) + "      " +
                        output.grey("geres job list --state failed --open"));
  }
}

int status(Context& context) {
  if (context.has("web")) return show_in_browser(context, "");
  const auto info = context.ask(context.hub().get("/v1/info"));
  client::Query query;
  if (const auto tenant = context.tenant_if()) query.emplace_back("tenant", *tenant);
  auto overview = context.hub().get("/v1/status", query);
  if (!overview && overview.error().status != 404) context.stop(overview.error());
  const auto state = overview ? *overview : gather(context);
  if (context.output.look.json) {
    auto all = state.is_object() ? state.get_object() : json::object();
    all["hub"] = info;
    context.show_json(all);
  } else {
    show(context, info, state);
  }
  return kDone;
}

}  // namespace

std::vector<Command> status_commands() {
  return {{.path = "status",
           .sentence = "One screen: the hub, its hosts, what runs, what waits, what failed",
           .usage = {"[--tenant <tenant>]"},
           .examples = {"geres status", "geres status --output json"},
           .flags = {tenant_flag(), web_flag()},
           .run = status,
           .group = Group::everyday}};
}

}  // namespace geres::cli
