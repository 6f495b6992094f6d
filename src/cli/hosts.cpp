// SPDX-License-Identifier: Apache-2.0
// The commands under "geres hosts".
#include <algorithm>

#include "base/duration.h"
#include "cli/context.h"
#include "cli/job_words.h"
#include "cli/named.h"
#include "cli/web.h"

namespace geres::cli {
namespace {

std::string labels_of(const json::value& host) {
  std::string text;
  const auto& labels = member_of(host, "labels");
  if (labels.is_object())
    for (const auto& [name, value] : labels.get_object())
      if (value.is_string())
        text += (text.empty() ? "" : " ") + std::string(name) + "=" + std::string(value.get_string());
  return text;
}

std::string host_state(const json::value& host) {
  const auto state = text_of(host, "state"), mode = text_of(host, "mode");
  if (state == "live" && mode != "run" && !mode.empty()) return mode == "drain" ? "draining" : mode;
  const auto health = text_of(member_of(host, "health"), "state");
  if (state == "live" && !health.empty() && health != "well") return health;
  return state.empty() ? mode : state;
}

// Whether the kernel holds jobs to their memory and processes, or the host only watches.
Cell limits_cell(const json::value& host) {
  const auto& limits = member_of(host, "limits");
  const auto memory = text_of(limits, "memory"), processes = text_of(limits, "processes");
  if (memory.empty() || processes.empty()) return "";
  const bool memory_watched = memory == "watched", processes_watched = processes == "watched";
  if (memory_watched) return {processes_watched ? "watched" : "memory watched", Colour::yellow};
  return processes_watched ? Cell("processes watched", Colour::yellow) : Cell("kernel");
}

// Under the table: why a host gets no jobs, and when it is tried again.
void tell_trouble(Context& context, const json::value& host) {
  const auto& health = member_of(host, "health");
  const auto state = text_of(health, "state");
  if (state.empty() || state == "well" || text_of(host, "state") != "live") return;
  const auto test = time_of(health, "nextTestAt");
  const auto wait = test ? (*test - context.now()) / 1'000 * 1'000 : 0;
  context.output.hint(clean(text_of(host, "name")) + (state == "unfit" ? " cannot start jobs" : " rests") + ": " +
                      clean(text_of(health, "reason")) +
                      (wait > 0 ? "; tried again in " + format_duration(wait) : "; tried again with the next job"));
}

// Why it takes no new jobs, where somebody but the reader may have decided that.
void tell_mode(Context& context, const json::value& host) {
  const auto why = text_of(host, "why");
  if (text_of(host, "by") != "scaler") {
    if (!why.empty())
      context.output.hint(clean(text_of(host, "name")) + " drains: " + clean(why) + "      geres hosts resume " +
                          clean(text_of(host, "name")));
    return;
  }
  context.output.hint(clean(text_of(host, "name")) +
                      (text_of(host, "mode") == "stop" ? " is being removed" : " drains") +
                      " by decision of the scaler" + (why.empty() ? "" : ": " + clean(why)));
}

int list(Context& context) {
  if (context.has("web")) return show_in_browser(context, "hosts");
  json::array hosts;
  context.ask(context.hub().list("/v1/hosts", {}, [&](const json::value& host) {
    hosts.push_back(host);
    return true;
  }));
  auto& output = context.output;
  if (output.look.json) {
    context.show_json(json::object{{"items", hosts}}, "Host");
    return kDone;
  }
  if (hosts.empty()) output.hint("no hosts: nothing can run      geres host --hub " + context.hub_url());
  if (context.show_fields(hosts, "Host") || hosts.empty()) return kDone;
  std::vector<Column> columns{{"NAME", false, true},
                              {"STATE"},
                              {"BUSY", true},
                              {"SLOTS", true},
                              {"CONTAINMENT", false, false, 5},
                              {"ISOLATION", false, false, 4},
                              {"LIMITS", false, false, 5},
                              {"MEMORY", true, false, 2},
                              {"LABELS", false, true, 1},
                              {"ADDRESS", false, true, 3},
                              {"LAST REPORT", false, false, 2}};
  const bool pools =
      std::any_of(hosts.begin(), hosts.end(), [](const auto& host) { return !text_of(host, "pool").empty(); });
  if (pools) columns.insert(columns.end(), {{"POOL", false, true, 4}, {"MACHINE", false, true, 6}});
  columns.push_back({"ID"});
  Table table(std::move(columns));
  for (const auto& host : hosts) {
    const auto state = host_state(host);
    const auto report = time_of(host, "lastReportAt");
    const auto memory = number_of(host, "memory");
    std::vector<Cell> row{
        text_of(host, "name"),
        {state, state == "live" ? Colour::green : Colour::yellow},
        std::to_string(number_of(host, "busy")),
        std::to_string(number_of(host, "slots")),
        {text_of(host, "containment"), text_of(host, "containment") == "bestEffort" ? Colour::yellow : Colour::none},
        {text_of(host, "isolation"), text_of(host, "isolation") == "none" ? Colour::yellow : Colour::none},
        limits_cell(host),
        memory > 0 ? Cell(format_size(memory), std::to_string(memory)) : Cell(""),
        labels_of(host),
        text_of(host, "address"),
        report ? Cell(ago(*report, context.now()), text_of(host, "lastReportAt"), Colour::grey) : Cell("")};
    if (pools) row.insert(row.end(), {Cell(text_of(host, "pool")), Cell(text_of(host, "instance"))});
    row.push_back(Cell("", text_of(host, "id")));
    table.add(std::move(row));
  }
  output.out(table.text(output.look, terminal_width(1)));
  for (const auto& host : hosts) {
    tell_trouble(context, host);
    tell_mode(context, host);
  }
  return kDone;
}

// A drain outlives its host, so one that is away can be resumed, too, by its whole name.
json::value resolve_to_resume(Context& context, const std::string& text) {
  try {
    return resolve_host(context, text);
  } catch (const Trouble& unknown) {
    if (unknown.code != "notFound") throw;
    try {
      return context.ask(context.hub().post_again("/v1/hosts/" + client::escaped(text) + "/resume", json::object()));
    } catch (const Trouble&) {
      throw unknown;
    }
  }
}

int change(Context& context, const std::string& verb, const std::string& done) {
  const auto& text = context.words.arguments[0];
  const auto meant = verb == "resume" ? resolve_to_resume(context, text) : resolve_host(context, text);
  if (text_of(meant, "state") == "away") {
    context.output.talk("host " + clean(text_of(meant, "name")) + " is away; it " + done + " when it comes back");
    return kDone;
  }
  const auto host =
      context.ask(context.hub().post_again("/v1/hosts/" + text_of(meant, "id") + "/" + verb, json::object()));
  if (context.output.look.json)
    context.show_json(host, "Host");
  else
    context.output.talk("host " + clean(text_of(meant, "name")) + " " + done);
  return kDone;
}

int invite(Context& context) {
  json::object body;
  if (const auto name = context.value("name")) body["name"] = *name;
  json::array tenants;
  for (const auto& given : context.values("tenant"))
    for (const auto& tenant : split(given, ',')) tenants.emplace_back(tenant);
  if (!tenants.empty()) body["tenants"] = tenants;
  if (const auto ttl = context.value("ttl")) body["ttl"] = *ttl;
  if (const auto uses = context.integer("uses")) body["uses"] = *uses;
  if (const auto url = context.value("url")) body["url"] = *url;
  const auto made = context.ask(context.hub().post("/v1/hosts/invites", body));
  auto& output = context.output;
  if (output.look.json) {
    output.json(made);
    return kDone;
  }
  output.line(text_of(made, "join"));
  const auto name = clean(text_of(made, "name"));
  const auto left = time_of(made, "expires").value_or(0) - context.now();
  const auto uses = number_of(made, "uses");
  output.hint("within " + format_duration(std::max<Millis>((left + 30'000) / 60'000, 1) * 60'000) +
              (uses == 1 ? "" : ", on up to " + plural(uses, "machine")) + "      geres host --join " +
              text_of(made, "join") + (name.empty() ? "" : " --name " + name));
  output.hint("It goes to " + clean(text_of(made, "hub")) + ", and is shown this once only.");
  return kDone;
}

int list_invites(Context& context) {
  json::array invites;
  context.ask(context.hub().list("/v1/hosts/invites", {}, [&](const json::value& one) {
    invites.push_back(one);
    return true;
  }));
  auto& output = context.output;
  if (output.look.json) {
    context.show_json(json::object{{"items", invites}}, "Invite");
    return kDone;
  }
  if (invites.empty()) output.hint("nobody is invited      geres hosts invite");
  if (context.show_fields(invites, "Invite") || invites.empty()) return kDone;
  Table table({{"NAME", false, true},
               {"TENANTS", false, true},
               {"LEFT", true},
               {"EXPIRES", false, false, 1},
               {"BY", false, true, 2},
               {"ID"}});
  for (const auto& one : invites) {
    std::vector<std::string> tenants;
    for (const auto& tenant : items_of(member_of(one, "tenants")))
      if (tenant.is_string()) tenants.emplace_back(tenant.get_string());
    const auto name = text_of(one, "name");
    const auto expires = time_of(one, "expires");
    table.add({name.empty() ? "any" : name, tenants.empty() ? "all" : joined(tenants, ","),
               std::to_string(number_of(one, "usesLeft")) + " of " + std::to_string(number_of(one, "uses")),
               expires ? Cell(ago(*expires, context.now()), text_of(one, "expires")) : Cell(""),
               text_of(one, "createdBy"), Cell("", text_of(one, "id"))});
  }
  output.out(table.text(output.look, terminal_width(1)));
  return kDone;
}

int uninvite(Context& context) {
  const auto id = resolve_named(context, "/v1/hosts/invites", "invitation", context.words.arguments[0]);
  context.ask(context.hub().remove("/v1/hosts/invites/" + client::escaped(id)));
  if (context.output.look.json)
    context.output.json(json::object());
  else
    context.output.talk("withdrawn: no more hosts join with it; those that have, stay");
  return kDone;
}

int remove(Context& context) {
  const auto& host = context.words.arguments[0];
  context.ask(context.hub().remove("/v1/hosts/" + client::escaped(host)));
  if (context.output.look.json)
    context.output.json(json::object());
  else
    context.output.talk("host " + clean(host) + " is removed: its secret is refused from now on");
  return kDone;
}

}  // namespace

std::vector<Command> host_commands() {
  return {
      {.path = "hosts",
       .sentence = "List hosts; take one out of service and back",
       .usage = {"", "{drain | resume | remove} <host>"},
       .examples = {"geres hosts", "geres hosts drain laptop"},
       .flags = {web_flag()},
       .run = list,
       .group = Group::fleet},
      {.path = "hosts drain",
       .sentence = "Let a host finish what it runs and start nothing new",
       .usage = {"<host>"},
       .examples = {"geres hosts drain laptop"},
       .run = [](Context& c) { return change(c, "drain", "drains: it finishes what it runs and starts nothing new"); },
       .arguments_min = 1,
       .arguments_max = 1,
       .live = Live::hosts},
      {.path = "hosts invite",
       .sentence = "Make a string with which another machine joins as a host; it is printed this once only",
       .usage = {"[--name <name>] [--tenant <tenant>...] [--ttl <time>] [--uses <n>] [--url <url>]"},
       .examples = {"geres hosts invite --name rack7", "geres hosts invite --tenant demo --uses 20 --ttl 1d"},
       .flags =
           {{.name = "name", .value = "NAME", .help = "for the host of this name (default: any)"},
            {.name = "tenant",
             .value = "T",
             .help = "for jobs of this tenant only (default: all that the token has)",
             .many = true,
             .live = Live::tenants},
            {.name = "ttl", .value = "TIME", .help = "how long it may be used (default 1h)", .kind = Kind::duration},
            {.name = "uses", .value = "N", .help = "how many hosts may join (default 1)", .kind = Kind::integer},
            {.name = "url", .value = "URL", .help = "where the hosts find this hub (default: where it is known)"}},
       .run = invite},
      {.path = "hosts invites",
       .sentence = "List the invitations that are open",
       .usage = {""},
       .examples = {"geres hosts invites"},
       .run = list_invites},
      {.path = "hosts uninvite",
       .sentence = "Withdraw an invitation",
       .usage = {"<id>"},
       .examples = {"geres hosts uninvite 01977c1e-0000-7000-8000-000000000000"},
       .run = uninvite,
       .arguments_min = 1,
       .arguments_max = 1},
      {.path = "hosts remove",
       .sentence = "Forget a host that has joined: its secret is refused from then on",
       .usage = {"<host>"},
       .examples = {"geres hosts remove laptop"},
       .run = remove,
       .arguments_min = 1,
       .arguments_max = 1,
       .live = Live::hosts},
      {.path = "hosts resume",
       .sentence = "Let a drained host start jobs again",
       .usage = {"<host>"},
       .examples = {"geres hosts resume laptop"},
       .run = [](Context& c) { return change(c, "resume", "starts jobs again"); },
       .arguments_min = 1,
       .arguments_max = 1,
       .live = Live::hosts},
  };
}

}  // namespace geres::cli
