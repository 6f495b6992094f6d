// SPDX-License-Identifier: Apache-2.0
// The commands under "geres tenant".
#include <cmath>

#include "base/duration.h"
#include "cli/context.h"

namespace geres::cli {
namespace {

const std::vector<Flag>& settings() {
  static const std::vector<Flag> flags = {
      {.name = "weight", .value = "W", .help = "share relative to others (default 1)"},
      {.name = "max-running", .value = "N", .help = "jobs at a time; 0: no limit", .kind = Kind::integer},
      {.name = "max-queued", .value = "N", .help = "jobs that have not ended; 0: no limit", .kind = Kind::integer},
      {.name = "max-memory",
       .value = "SIZE",
       .help = "that one job may ask for (--memory); 0: no limit",
       .kind = Kind::size},
      {.name = "keep-finished", .value = "TIME", .help = "how long finished jobs are kept", .kind = Kind::duration},
      {.name = "keep-failed",
       .value = "TIME",
       .help = "how long failed and cancelled jobs are kept",
       .kind = Kind::duration},
  };
  return flags;
}

std::string shown(const json::value& v) {
  if (v.is_null()) return "";
  if (v.is_string()) return std::string(v.get_string());
  if (v.is_double()) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", v.get_double());
    return text;
  }
  return boost::json::serialize(v);
}

std::string limit(const json::value& tenant, const char* member) {
  const auto n = number_of(tenant, member);
  return n == 0 ? "no limit" : std::to_string(n);
}

std::string memory_limit(const json::value& tenant) {
  const auto bytes = number_of(tenant, "maxMemoryPerJob");
  return bytes == 0 ? "no limit" : format_size(bytes);
}

void print(Context& context, const json::array& tenants) {
  Table table({{"NAME", false, true},
               {"WEIGHT", true},
               {"MAX RUNNING", true},
               {"MAX QUEUED", true},
               {"MAX MEMORY", true},
               {"KEEP FINISHED", true},
               {"KEEP FAILED", true}});
  for (const auto& tenant : tenants)
    table.add({text_of(tenant, "name"), shown(member_of(tenant, "weight")), limit(tenant, "maxRunning"),
               limit(tenant, "maxQueued"), memory_limit(tenant), shown(member_of(tenant, "keepFinished")),
               shown(member_of(tenant, "keepFailed"))});
  context.output.out(table.text(context.output.look, terminal_width(1)));
}

int list(Context& context) {
  json::array tenants;
  context.ask(context.hub().list("/v1/tenants", {}, [&](const json::value& tenant) {
    tenants.push_back(tenant);
    return true;
  }));
  if (context.output.look.json)
    context.show_json(json::object{{"items", tenants}}, "Tenant");
  else if (tenants.empty())
    context.output.hint("no tenants yet: one begins with its first package or job");
  else if (!context.show_fields(tenants, "Tenant"))
    print(context, tenants);
  return kDone;
}

int show_one(Context& context, const json::value& tenant) {
  if (context.output.look.json)
    context.show_json(tenant, "Tenant");
  else if (!context.show_fields(tenant, "Tenant"))
    print(context, {tenant});
  return kDone;
}

std::string path_of(Context& context) {
  return "/v1/tenants/" + client::escaped(context.words.arguments[0]);
}

int show(Context& context) {
  return show_one(context, context.ask(context.hub().get(path_of(context))));
}

double weight_of(const std::string& text) {
  char* end = nullptr;
  const double weight = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || *end != 0 || !(weight > 0) || !std::isfinite(weight))
    usage_error("--weight '" + text + "' is not a number above 0", {}, "--weight 2", "--weight");
  return weight;
}

// PUT replaces everything, so what was not given is sent as it was.
int set(Context& context) {
  json::object body;
  const auto now = context.hub().get(path_of(context));
  if (!now && now.error().status != 404) context.stop(now.error());
  if (now)
    for (const char* member : {"weight", "maxRunning", "maxQueued", "maxMemoryPerJob", "keepFinished", "keepFailed"})
      if (!member_of(*now, member).is_null()) body[member] = member_of(*now, member);
  bool given = false;
  const auto put = [&](const char* member, json::value v) {
    body[member] = std::move(v);
    given = true;
  };
  if (const auto weight = context.value("weight")) put("weight", weight_of(*weight));
  if (const auto n = context.integer("max-running")) put("maxRunning", *n);
  if (const auto n = context.integer("max-queued")) put("maxQueued", *n);
  if (const auto size = context.value("max-memory")) put("maxMemoryPerJob", json::value(*size));
  if (const auto time = context.value("keep-finished")) put("keepFinished", json::value(*time));
  if (const auto time = context.value("keep-failed")) put("keepFailed", json::value(*time));
  if (!given)
    usage_error("nothing to set", {},
                "--weight, --max-running, --max-queued, --max-memory, --keep-finished or --keep-failed");
  return show_one(context, context.ask(context.hub().put(path_of(context), body)));
}

}  // namespace

std::vector<Command> tenant_commands() {
  return {
      {.path = "tenant",
       .sentence = "Shares and limits of tenants",
       .examples = {"geres tenant list", "geres tenant set demo --weight 2"},
       .group = Group::admin},
      {.path = "tenant list",
       .sentence = "List tenants",
       .usage = {""},
       .examples = {"geres tenant list"},
       .run = list},
      {.path = "tenant show",
       .sentence = "Show one tenant",
       .usage = {"<tenant>"},
       .examples = {"geres tenant show demo"},
       .run = show,
       .arguments_min = 1,
       .arguments_max = 1,
       .live = Live::tenants},
      {.path = "tenant set",
       .sentence = "Change a tenant's share, limits or how long its jobs are kept",
       .usage = {"<tenant> [--weight <w>] [--max-running <n>] [--max-queued <n>] [--max-memory <size>] "
                 "[--keep-finished <time>] [--keep-failed <time>]"},
       .examples = {"geres tenant set demo --weight 2 --max-running 50", "geres tenant set demo --keep-finished 2d"},
       .flags = settings(),
       .run = set,
       .arguments_min = 1,
       .arguments_max = 1,
       .live = Live::tenants},
  };
}

}  // namespace geres::cli
