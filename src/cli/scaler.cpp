// SPDX-License-Identifier: Apache-2.0
// How the fleet sizes itself: the commands under "geres scaler" that look on. Those that change pools are in
// scaler_pools.cpp.
#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/duration.h"
#include "cli/context.h"
#include "cli/job_words.h"
#include "cli/scaler_words.h"

namespace geres::cli {
namespace {

constexpr Millis kChartTime = 30 * 60'000;
constexpr Millis kFollowEvery = 1'000;
constexpr std::int64_t kTail = 20;

std::string pool_of_flag(Context& context) {
  const auto pool = context.value("pool");
  if (pool) context.ask(context.hub().get("/v1/scaler/pools/" + client::escaped(*pool)));  // says if there is none
  return pool.value_or("");
}

Cell age_cell(Context& context, const json::value& from, const char* member) {
  const auto at = time_of(from, member);
  return at ? Cell(ago(*at, context.now()), text_of(from, member), Colour::grey) : Cell("");
}

// ---- geres scaler -----------------------------------------------------------------------------------------------

Millis interval_of(const json::value& pool) {
  const auto interval = parse_duration(text_of(member_of(pool, "limits"), "interval"));
  return interval ? *interval : 15'000;
}

// What it would be like to find nobody at work.
Cell next_cell(Context& context, const json::value& pool) {
  const auto last = time_of(member_of(pool, "lastDecision"), "lastAt");
  if (!last) return {"never decided", "", Colour::yellow};
  const auto due = *last + interval_of(pool);
  const auto late = context.now() - due;
  if (late > 2 * interval_of(pool) + 30'000) return {"late", format_time(due), Colour::yellow};
  return {late >= 0 ? "now" : ago(due, context.now()), format_time(due)};
}

Cell provider_cell(const json::value& pool) {
  const auto name = clean(text_of(member_of(pool, "provider"), "name"));
  const auto outcome = text_of(member_of(pool, "lastDecision"), "outcome");
  if (outcome == "providerHeld") return {name + " (held)", Colour::yellow};
  return name;
}

void show_chart(Context& context, const json::value& pool, Millis since) {
  auto& output = context.output;
  const auto now = context.now();
  json::array decisions;
  const client::Query query{{"pool", text_of(pool, "name")}, {"from", format_time(now - since)}, {"limit", "1000"}};
  context.ask(context.hub().list("/v1/scaler/decisions", query, [&](const json::value& decision) {
    decisions.push_back(decision);
    return true;
  }));
  std::reverse(decisions.begin(), decisions.end());
  const auto width = terminal_width(1);
  const auto lines = pool_chart(decisions, now - since, now, std::size_t(width));
  output.line("");
  output.line(output.bold(clean(text_of(pool, "name"))) + output.grey("   the last " + format_duration(since)));
  for (const auto& line : lines) output.line("  " + line);
  const auto& last = member_of(pool, "lastDecision");
  if (const auto reason = clean(text_of(last, "reason")); !reason.empty())
    output.prose("  " + output.grey("why") + "      ", reason, 11);
  for (const auto& intent : items_of(member_of(pool, "intents"))) {
    const auto& refusal = member_of(intent, "refusal");
    auto words = text_of(intent, "verb") + " " + text_of(intent, "state");
    if (const auto at = time_of(intent, "issuedAt")) words += " " + ago(*at, now);
    if (refusal.is_object()) words += ": " + text_of(refusal, "why") + " " + text_of(refusal, "text");
    output.prose("  " + output.grey("call") + "     ", clean(words), 11);
  }
}

int status(Context& context) {
  const auto answer = context.ask(context.hub().get("/v1/scaler"));
  auto& output = context.output;
  if (output.look.json) {
    context.show_json(answer);
    return kDone;
  }
  const auto& pools = items_of(member_of(answer, "pools"));
  if (pools.empty()) {
    output.hint("no pools: nothing sizes itself      geres scaler pool set here --max 4");
    return kDone;
  }
  Table table({{"POOL", false, true},
               {"MODE"},
               {"POLICY", false, true, 3},
               {"WANTED", true},
               {"THERE", false, true},
               {"PROVIDER", false, true, 2},
               {"DECIDED", false, false, 4},
               {"NEXT", false, false, 5},
               {"REASON", false, true}});
  for (const auto& pool : pools) {
    const auto& last = member_of(pool, "lastDecision");
    const auto mode = pool_mode(pool);
    table.add({clean(text_of(pool, "name")),
               {mode, mode == "act" ? Colour::green : Colour::yellow},
               policy_words(pool),
               last.is_object() ? std::to_string(number_of(last, "wanted")) : "",
               machine_counts(pool),
               provider_cell(pool),
               age_cell(context, last, "lastAt"),
               next_cell(context, pool),
               {"", clean(text_of(last, "reason"))}});
  }
  output.out(table.text(output.look, terminal_width(1)));
  if (!output.look.out_terminal) return kDone;
  const auto since = *parse_duration(context.value_or("since", format_duration(kChartTime)));
  for (const auto& pool : pools) show_chart(context, pool, since);
  if (!member_of(answer, "scaler").is_object())
    output.hint("no scaler has been at work for this hub yet      geres scaler run --hub " + context.hub_url());
  else if (std::any_of(pools.begin(), pools.end(),
                       [&](const json::value& pool) { return next_cell(context, pool).shown == "late"; }))
    output.hint("decisions are late: the last scaler was " + clean(text_of(member_of(answer, "scaler"), "holder")) +
                "      geres scaler run --hub " + context.hub_url());
  return kDone;
}

// ---- geres scaler decisions -------------------------------------------------------------------------------------

Table decision_table() {
  return Table({{"TIME"},
                {"POOL", false, true},
                {"WANTED", true},
                {"THERE", true},
                {"CHANGES", false, true},
                {"OUTCOME", false, false, 4},
                {"REASON", false, true}});
}

void add_decision(Table& table, const json::value& decision) {
  const auto outcome = text_of(decision, "outcome");
  const auto raw = number_of(decision, "raw"), wanted = number_of(decision, "wanted");
  const auto at = text_of(decision, "at");
  auto reason = clean(text_of(decision, "reason"));
  if (const auto times = number_of(decision, "times"); times > 1) reason += " (" + std::to_string(times) + " times)";
  // What the policy said, where that did not come to pass.
  const auto shown = raw == wanted ? std::to_string(wanted) : std::to_string(raw) + " → " + std::to_string(wanted);
  table.add({{at.substr(0, 19), at, Colour::grey},
             clean(text_of(decision, "pool")),
             {shown, std::to_string(wanted)},
             std::to_string(number_of(decision, "actual")),
             change_words(decision),
             {outcome, outcome == "ok" ? Colour::none : Colour::yellow},
             reason});
}

// New ones since `after`, oldest first; `after` is moved on.
json::array decisions_after(Context& context, client::Query query, std::int64_t& after, std::int64_t most) {
  json::array found;
  query.emplace_back("limit", std::to_string(std::clamp<std::int64_t>(most, 1, 1'000)));
  context.ask(context.hub().list("/v1/scaler/decisions", query, [&](const json::value& decision) {
    if (number_of(decision, "id") <= after || std::int64_t(found.size()) >= most) return false;
    found.push_back(decision);
    return true;
  }));
  std::reverse(found.begin(), found.end());
  for (const auto& decision : found) after = std::max(after, number_of(decision, "id"));
  return found;
}

int decisions(Context& context) {
  const auto tail = context.integer("tail");
  if (tail && *tail < 0) usage_error("--tail is at least 0", {}, "--tail 20", "--tail");
  client::Query query;
  if (const auto pool = pool_of_flag(context); !pool.empty()) query.emplace_back("pool", pool);
  if (context.has("changed")) query.emplace_back("changed", "true");
  const bool follow = context.has("follow");
  std::int64_t after = 0;
  auto& output = context.output;
  auto first = query;
  if (const auto since = context.value("since")) first.emplace_back("from", *since);
  const auto most = tail.value_or(context.has("since") ? 1'000'000 : kTail);
  auto found = decisions_after(context, first, after, std::max<std::int64_t>(most, 1));
  if (most == 0) found.clear();
  if (output.look.json && !follow) {
    context.show_json(json::object{{"items", found}}, "ScalerDecision");
    return kDone;
  }
  if (!follow) {
    if (found.empty()) output.hint("nothing has been decided      geres scaler");
    if (context.show_fields(found, "ScalerDecision") || found.empty()) return kDone;
    auto table = decision_table();
    for (const auto& decision : found) add_decision(table, decision);
    output.out(table.text(output.look, terminal_width(1)));
    return kDone;
  }
  catch_interrupts();
  context.hub().transport().options().wait_for_first = true;
  const auto print = [&](const json::array& decisions) {
    for (const auto& decision : decisions) {
      if (output.look.json) {
        output.line(boost::json::serialize(with_fields(decision, output.look.fields)));
        continue;
      }
      const auto changes = change_words(decision);
      const auto wanted = std::to_string(number_of(decision, "wanted"));
      const auto at = text_of(decision, "at"), pool = clean(text_of(decision, "pool")),
                 reason = clean(text_of(decision, "reason"));
      if (!output.look.out_terminal) {
        output.line(joined({at, pool, wanted, std::to_string(number_of(decision, "actual")), changes,
                            text_of(decision, "outcome"), reason},
                           "\t"));
        continue;
      }
      const std::string line = output.grey(at.substr(11, 8)) + "  " + pad(pool, 10) + "  wants " +
                               pad(wanted, 3, true) + ", has " +
                               pad(std::to_string(number_of(decision, "actual")), 3, true) + "  " +
                               (changes.empty() ? "" : output.bold(changes) + "  ");
      const auto room = terminal_width(1) - int(display_width(line));
      output.line(line + fit(reason, std::size_t(std::max(room, 1))));
    }
  };
  print(found);
  while (!interrupted()) {
    for (Millis waited = 0; waited < kFollowEvery && !interrupted(); waited += 50) ::usleep(50'000);
    if (interrupted()) break;
    print(decisions_after(context, query, after, 1'000));
  }
  return kDone;
}

// ---- geres scaler machines --------------------------------------------------------------------------------------

int machines(Context& context) {
  client::Query query;
  if (const auto pool = pool_of_flag(context); !pool.empty()) query.emplace_back("pool", pool);
  if (context.has("gone")) query.emplace_back("gone", "true");
  json::array machines;
  context.ask(context.hub().list("/v1/scaler/machines", query, [&](const json::value& machine) {
    machines.push_back(machine);
    return true;
  }));
  auto& output = context.output;
  if (output.look.json) {
    context.show_json(json::object{{"items", machines}}, "Machine");
    return kDone;
  }
  if (machines.empty()) output.hint("no machines      geres scaler decisions");
  if (context.show_fields(machines, "Machine") || machines.empty()) return kDone;
  Table table({{"MACHINE", false, true},
               {"POOL", false, true, 1},
               {"STATE"},
               {"BUSY", true},
               {"SLOTS", true, false, 3},
               {"ORDERED", false, false, 2},
               {"BOOTED IN", true, false, 4},
               {"ZONE", false, true, 5},
               {"REASON", false, true}});
  for (const auto& machine : machines) {
    const auto& host = member_of(machine, "host");
    const auto state = text_of(machine, "state");
    const auto ordered = time_of(machine, "orderedAt"), ready = time_of(machine, "readyAt");
    std::string word = state;
    if (client::flag_of(host, "lost")) word = "lost";
    if (client::flag_of(host, "unfit")) word = "unfit";
    table.add({clean(text_of(machine, "instance")),
               clean(text_of(machine, "pool")),
               {word, word == "ready" ? Colour::green : Colour::yellow},
               host.is_object() ? std::to_string(number_of(host, "busy")) : "",
               host.is_object() ? std::to_string(number_of(host, "slots")) : "",
               age_cell(context, machine, "orderedAt"),
               ordered && ready ? Cell(took(*ready - *ordered), std::to_string(*ready - *ordered)) : Cell(""),
               clean(text_of(machine, "zone")),
               clean(text_of(machine, "reason"))});
  }
  output.out(table.text(output.look, terminal_width(1)));
  return kDone;
}

}  // namespace

std::vector<Command> scaler_commands() {
  const Flag pool{.name = "pool", .value = "POOL", .help = "only of this pool", .live = Live::pools};
  return {
      {.path = "scaler",
       .sentence = "Pools of hosts that grow and shrink with the work",
       .usage = {"[--since <time>]"},
       .examples = {"geres scaler", "geres scaler pool set here --policy messageWaitingTime --wait 30s --max 4",
                    "geres scaler decisions -f --changed"},
       .flags = {{.name = "since",
                  .value = "TIME",
                  .help = "how far back the chart reaches (default 30m)",
                  .kind = Kind::duration}},
       .run = status,
       .group = Group::fleet},
      {.path = "scaler decisions",
       .sentence = "Print what was decided and why, and follow what is",
       .usage = {"[-f] [--changed] [--pool <pool>] [{--since <when> | --tail <n>}]"},
       .examples = {"geres scaler decisions", "geres scaler decisions -f --changed",
                    "geres scaler decisions --pool cpu --since 2h"},
       .flags = {{.name = "follow", .help = "go on with what is decided", .letter = 'f'},
                 {.name = "changed", .help = "only those in which something was to be done"},
                 pool,
                 {.name = "since", .value = "WHEN", .help = "all since then: 10m, 18:00", .kind = Kind::past_time},
                 {.name = "tail", .value = "N", .help = "the last N (default 20)", .kind = Kind::integer}},
       .run = decisions},
      {.path = "scaler machines",
       .sentence = "List the machines of pools and what they are doing",
       .usage = {"[--pool <pool>] [--gone]"},
       .examples = {"geres scaler machines", "geres scaler machines --pool cpu --gone"},
       .flags = {pool, {.name = "gone", .help = "those that are gone, too"}},
       .run = machines},
  };
}

}  // namespace geres::cli
