// SPDX-License-Identifier: Apache-2.0
// The commands under "geres scaler" that look at pools and change them. What a flag says goes into the same JSON as a
// file has, and the hub checks both; where it objects to what a flag said, the flag is named.
#include <algorithm>
#include <iostream>
#include <iterator>

#include "base/duration.h"
#include "base/file.h"
#include "base/similar.h"
#include "cli/context.h"
#include "cli/job_words.h"
#include "cli/scaler_words.h"

namespace geres::cli {
namespace {

std::string path_of(const std::string& pool, const std::string& rest = {}) {
  return "/v1/scaler/pools/" + client::escaped(pool) + rest;
}

std::string path_of(Context& context, const std::string& rest = {}) {
  return path_of(context.words.arguments[0], rest);
}

// There is none of that name: the nearest one, if the hub can list them.
[[noreturn]] void stop_at_pool(Context& context, const client::Failure& failure) {
  auto trouble = context.trouble_of(failure);
  if (failure.status == 404) {
    std::vector<std::string> names;
    const auto listed = context.hub().get("/v1/scaler/pools");
    if (listed)
      for (const auto& pool : items_of(*listed)) names.push_back(text_of(pool, "name"));
    const auto near = nearest(context.words.arguments[0], names);
    trouble.next = near.empty() ? "geres scaler pools" : near;
  }
  throw trouble;
}

json::value ask_pool(Context& context, client::Answer<json::value> answer) {
  if (!answer) stop_at_pool(context, answer.error());
  return std::move(*answer);
}

int tell(Context& context, const json::value& pool, const std::string& done) {
  if (context.output.look.json)
    context.show_json(pool, "Pool");
  else
    context.output.talk("pool " + clean(context.words.arguments[0]) + " " + done);
  return kDone;
}

// ---- looking ------------------------------------------------------------------------------------------------------

int list(Context& context) {
  json::array pools;
  context.ask(context.hub().list("/v1/scaler/pools", {}, [&](const json::value& pool) {
    pools.push_back(pool);
    return true;
  }));
  auto& output = context.output;
  if (output.look.json) {
    context.show_json(json::object{{"items", pools}}, "Pool");
    return kDone;
  }
  if (pools.empty()) output.hint("no pools      geres scaler pool set here --max 4");
  if (context.show_fields(pools, "Pool") || pools.empty()) return kDone;
  Table table({{"POOL", false, true},
               {"MODE"},
               {"PROVIDER", false, true},
               {"POLICY", false, true},
               {"MIN", true},
               {"MAX", true},
               {"SLOTS", true, false, 2},
               {"IDLE TIME", false, false, 3},
               {"INTERVAL", false, false, 4},
               {"COST", true, false, 5},
               {"VERSION", true, false, 6}});
  for (const auto& pool : pools) {
    const auto& limits = member_of(pool, "limits");
    const auto mode = pool_mode(pool);
    table.add({clean(text_of(pool, "name")),
               {mode, mode == "act" ? Colour::green : Colour::yellow},
               clean(text_of(member_of(pool, "provider"), "name")),
               policy_words(pool),
               std::to_string(number_of(limits, "minimum")),
               std::to_string(number_of(limits, "maximum")),
               std::to_string(number_of(member_of(pool, "template"), "slots", 1)),
               text_of(limits, "idleTime"),
               text_of(limits, "interval"),
               boost::json::serialize(member_of(limits, "cost")),
               std::to_string(number_of(pool, "version"))});
  }
  output.out(table.text(output.look, terminal_width(1)));
  return kDone;
}

int show(Context& context) {
  const auto pool = ask_pool(context, context.hub().get(path_of(context)));
  if (context.output.look.json || !context.output.look.fields.empty())
    context.show_json(pool, "Pool");
  else
    context.output.out(indented(pool));  // as pool set -f takes it
  return kDone;
}

// ---- setting ------------------------------------------------------------------------------------------------------

// A flag and where in the pool's JSON it goes.
struct Setting {
  const char* flag;
  const char* part;    // "limits"; empty: the pool itself
  const char* member;  // "minimum"
};

constexpr Setting kSettings[] = {
    {"mode", "", "mode"},
    {"min", "limits", "minimum"},
    {"max", "limits", "maximum"},
    {"min-idle", "limits", "minimumIdle"},
    {"max-idle", "limits", "maximumIdle"},
    {"idle-time", "limits", "idleTime"},
    {"interval", "limits", "interval"},
    {"boot-timeout", "limits", "bootTimeout"},
    {"cost", "limits", "cost"},
    {"slots", "template", "slots"},
    {"memory", "template", "memory"},
};

// Those that belong to one policy.
struct PolicySetting {
  const char* flag;
  const char* policy;
  const char* member;
};

constexpr PolicySetting kPolicySettings[] = {
    {"wait", "messageWaitingTime", "wait"},
    {"finish-within", "deadline", "finishWithin"},
    {"jobs-per-host", "messageCount", "jobsPerHost"},
};

json::object& part_of(json::object& pool, const std::string& part) {
  auto& value = pool[part];
  if (!value.is_object()) value = json::object();
  return value.get_object();
}

json::value number_or_text(const std::string& text) {
  if (auto number = json::parse(text); number && number->is_number()) return *number;
  return json::value(text);
}

json::object read_pool(const std::string& file) {
  std::string text;
  if (file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  } else {
    try {
      text = read_file(file);
    } catch (const std::system_error& error) {
      cannot("the file '" + file + "' cannot be read", error.code().message(),
             "-f pool.json, or -f - for standard input", "--file");
    }
  }
  auto parsed = json::parse(text);
  if (!parsed)
    usage_error("'" + file + "' is not JSON", parsed.error().message, "geres scaler pool show NAME prints one",
                "--file");
  if (!parsed->is_object())
    usage_error("'" + file + "' is not a pool", "a pool is a JSON object", "geres scaler pool show NAME prints one",
                "--file");
  return std::move(parsed->get_object());
}

void put_policy(Context& context, json::object& pool) {
  auto& policy = part_of(pool, "policy");
  const auto named = context.value("policy");
  const PolicySetting* first = nullptr;
  for (const auto& setting : kPolicySettings)
    if (context.has(setting.flag)) {
      if (first != nullptr)
        usage_error(std::string("--") + first->flag + " and --" + setting.flag + " do not go together",
                    std::string("one is of ") + first->policy + ", the other of " + setting.policy, {},
                    std::string("--") + setting.flag);
      first = &setting;
    }
  const auto before = text_of(policy, "name");
  auto name = named ? *named : first != nullptr ? std::string(first->policy) : before;
  if (name.empty()) name = "messageWaitingTime";
  if (first != nullptr && name != first->policy)
    usage_error(std::string("--") + first->flag + " is not a setting of the policy " + name, {},
                std::string("--policy ") + first->policy, std::string("--") + first->flag);
  if (name != before) policy = json::object{{"name", name}};
  if (first != nullptr) policy[first->member] = number_or_text(*context.value(first->flag));
}

void put_labels(Context& context, json::object& pool) {
  json::object labels;
  for (const auto& label : context.values("label")) {
    const auto [name, value] = pair_of(label);
    labels[name] = value;
  }
  if (!labels.empty()) part_of(pool, "template")["labels"] = std::move(labels);
  json::array tenants;
  for (const auto& tenant : context.values("for-tenant")) tenants.emplace_back(tenant);
  if (!tenants.empty()) part_of(pool, "template")["tenants"] = std::move(tenants);
}

// What the hub objects to, by the flag that said it.
void name_flag(Context& context, Trouble& trouble) {
  const auto said = [&](const char* flag, const std::string& pointer) {
    if (trouble.field != pointer || !context.has(flag)) return;
    trouble.field = std::string("--") + flag;
    trouble.error = trouble.field + ": " + trouble.error;
  };
  for (const auto& setting : kSettings)
    said(setting.flag, (*setting.part != 0 ? std::string("/") + setting.part : "") + "/" + setting.member);
  for (const auto& setting : kPolicySettings) said(setting.flag, std::string("/policy/") + setting.member);
  said("policy", "/policy/name");
  said("provider", "/provider/name");
  if (trouble.field.starts_with('/') && trouble.error.find(trouble.field) == std::string::npos)
    trouble.error = trouble.field + ": " + trouble.error;
}

// PUT replaces everything: what was not said is sent as it was, and refused if somebody has changed it meanwhile.
int set(Context& context) {
  const auto& name = context.words.arguments[0];
  const auto file = context.value("file");
  const auto now = context.hub().get(path_of(context));
  if (!now && now.error().status != 404) context.stop(now.error());
  json::object pool;
  if (file)
    pool = read_pool(*file);
  else if (now && now->is_object())
    pool = now->get_object();
  bool given = file.has_value();
  for (const auto& flag : context.words.command->flags) given |= context.has(flag.name);
  if (!given && now)
    usage_error("nothing to set", {}, "--policy, --wait, --min, --max, --provider, …: geres help scaler pool set");
  for (const auto& setting : kSettings) {
    const auto value = context.value(setting.flag);
    if (!value) continue;
    const std::string part = setting.part, member = setting.member;
    const bool text = member == "idleTime" || member == "interval" || member == "bootTimeout" || member == "mode";
    (part.empty() ? pool : part_of(pool, part))[member] = text ? json::value(*value) : number_or_text(*value);
  }
  put_labels(context, pool);
  // Of a file nothing is guessed.
  if (!file || context.has("policy") || context.has("wait") || context.has("finish-within") ||
      context.has("jobs-per-host"))
    put_policy(context, pool);
  if (const auto provider = context.value("provider"); provider || (!file && !now)) {
    auto& part = part_of(pool, "provider");
    const auto wanted = provider.value_or("local");
    if (text_of(part, "name") != wanted) part = json::object{{"name", wanted}};
    if (wanted == "command" && !part.contains("command"))
      usage_error("the provider command needs settings that have no flags", "it is called with a program and arguments",
                  "-f pool.json with \"provider\": {\"name\": \"command\", \"command\": [\"/etc/geres/scale.sh\"]}",
                  "--provider");
  }
  pool.erase("version");
  if (now && !file) pool["version"] = member_of(*now, "version");
  const auto answer = context.hub().put(path_of(context), pool);
  if (!answer) {
    auto trouble = context.trouble_of(answer.error());
    name_flag(context, trouble);
    throw trouble;
  }
  auto& output = context.output;
  if (output.look.json) {
    context.show_json(*answer, "Pool");
    return kDone;
  }
  const auto& limits = member_of(*answer, "limits");
  output.talk("pool " + clean(name) + (now ? " changed" : " made") + ": " + policy_words(*answer) + ", " +
              std::to_string(number_of(limits, "minimum")) + " to " + plural(number_of(limits, "maximum"), "host") +
              " of " + clean(text_of(member_of(*answer, "provider"), "name")));
  for (const auto& warning : items_of(member_of(*answer, "warnings")))
    output.talk("warning: " +
                clean(warning.is_string() ? std::string(warning.get_string()) : text_of(warning, "detail")));
  if (!now) output.hint("what becomes of it      geres scaler decisions -f --pool " + shell_quoted(name));
  return kDone;
}

// ---- deleting, pausing, scaling by hand ---------------------------------------------------------------------------

int remove(Context& context) {
  client::Query query;
  if (context.has("drain")) query.emplace_back("drain", "true");
  const auto answer = context.hub().remove(path_of(context), query);
  if (!answer && answer.error().status == 409) {
    auto trouble = context.trouble_of(answer.error());
    trouble.next = "--drain has them drained and removed first; no job is ended by that";
    throw trouble;
  }
  const auto left = ask_pool(context, answer);
  const bool goes = client::flag_of(left, "removing");
  if (context.output.look.json)
    context.output.json(goes ? left : json::value(json::object()));
  else
    context.output.talk("pool " + clean(context.words.arguments[0]) +
                        (goes ? " goes with its last machine: none is ordered any more, and each is removed when its "
                                "jobs have ended"
                              : " is gone"));
  return kDone;
}

int pause(Context& context) {
  const auto pool = ask_pool(context, context.hub().post_again(path_of(context, "/pause"), json::object()));
  return tell(context, pool, "is paused: nothing is ordered and nothing drained until it is resumed");
}

int resume(Context& context) {
  const auto pool = ask_pool(context, context.hub().post_again(path_of(context, "/resume"), json::object()));
  return tell(context, pool, "goes on");
}

int scale(Context& context) {
  const auto& text = context.words.arguments[1];
  std::int64_t wanted = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), wanted);
  if (error != std::errc() || end != text.data() + text.size() || wanted < 0)
    usage_error("'" + text + "' is not a number of hosts", {},
                "geres scaler scale " + context.words.arguments[0] + " 4", "N");
  json::object body{{"wanted", wanted}};
  const auto time = context.value_or("for", "1h");
  body["for"] = time;
  const auto pool = ask_pool(context, context.hub().post_again(path_of(context, "/scale"), body));
  return tell(context, pool, "is at " + plural(wanted, "host") + " for " + time + ", whatever its policy says");
}

std::vector<Flag> set_flags() {
  return {
      {.name = "file",
       .value = "FILE",
       .help = "the pool as JSON; - is standard input",
       .live = Live::files,
       .letter = 'f'},
      {.name = "policy",
       .value = "NAME",
       .help = "how many are wanted (default messageWaitingTime)",
       .kind = Kind::text,
       .choices = {"messageCount", "messageWaitingTime", "deadline", "fixed", "library", "command"}},
      {.name = "wait", .value = "TIME", .help = "messageWaitingTime: how long jobs may wait", .kind = Kind::duration},
      {.name = "finish-within", .value = "TIME", .help = "deadline: from ready to its end", .kind = Kind::duration},
      {.name = "jobs-per-host", .value = "N", .help = "messageCount: so many on one host", .kind = Kind::integer},
      {.name = "provider",
       .value = "NAME",
       .help = "what makes the machines (default local: hosts of the scaler's machine)",
       .kind = Kind::text,
       .choices = {"local", "command"}},
      {.name = "min", .value = "N", .help = "hosts at least (default 0)", .kind = Kind::integer},
      {.name = "max",
       .value = "N",
       .help = "hosts at most (default 20; local: the machine's cores)",
       .kind = Kind::integer},
      {.name = "min-idle", .value = "N", .help = "idle hosts beside the busy ones (default 0)", .kind = Kind::integer},
      {.name = "max-idle",
       .value = "N",
       .help = "idle hosts that may wait for their time (default 2)",
       .kind = Kind::integer},
      {.name = "idle-time", .value = "TIME", .help = "after so long an idle host goes: 5m, 0 or never"},
      {.name = "interval", .value = "TIME", .help = "between two decisions (default 15s)", .kind = Kind::duration},
      {.name = "boot-timeout", .value = "TIME", .help = "for a machine to join (default 5m)", .kind = Kind::duration},
      {.name = "slots", .value = "N", .help = "of each host (default 1)", .kind = Kind::integer},
      {.name = "memory", .value = "SIZE", .help = "of each host, for jobs", .kind = Kind::size},
      {.name = "label", .value = "K=V", .help = "of each host", .kind = Kind::pair, .many = true},
      {.name = "for-tenant",
       .value = "T",
       .help = "hosts that run only this tenant's jobs",
       .many = true,
       .live = Live::tenants},
      {.name = "cost", .value = "N", .help = "of pools that fit a job the cheapest gets it (default 1)"},
      {.name = "mode",
       .value = "MODE",
       .help = "act, or observe: decide and write it down, but touch nothing",
       .kind = Kind::choice,
       .choices = {"act", "observe"}},
  };
}

Command verb(const std::string& name, const std::string& sentence, const std::string& example,
             std::function<int(Context&)> run) {
  return {.path = "scaler " + name,
          .sentence = sentence,
          .usage = {"<pool>"},
          .examples = {"geres scaler " + name + " " + example},
          .run = std::move(run),
          .arguments_min = 1,
          .arguments_max = 1,
          .live = Live::pools};
}

}  // namespace

std::vector<Command> scaler_pool_commands() {
  auto removal = verb("pool delete", "Delete a pool that has no machines, or with --drain once it has none",
                      "cpu --drain", remove);
  removal.usage = {"<pool> [--drain]"};
  removal.flags = {{.name = "drain", .help = "its hosts finish what they run, then go"}};
  auto by_hand = verb("scale", "Say how many hosts there are to be, for a while", "cpu 8 --for 2h", scale);
  by_hand.usage = {"<pool> <n> [--for <time>]"};
  by_hand.flags = {
      {.name = "for", .value = "TIME", .help = "then its policy decides again (default 1h)", .kind = Kind::duration}};
  by_hand.arguments_min = by_hand.arguments_max = 2;
  return {
      {.path = "scaler pools",
       .sentence = "List pools and their settings",
       .usage = {""},
       .examples = {"geres scaler pools"},
       .run = list},
      {.path = "scaler pool",
       .sentence = "Make, change, show and delete pools",
       .examples = {"geres scaler pool set cpu --policy messageWaitingTime --wait 30s --max 8",
                    "geres scaler pool delete cpu --drain"}},
      {.path = "scaler pool set",
       .sentence = "Make a pool, or change what is said of one; the rest stays",
       .usage = {"<pool> [-f <file>] [--policy <name>] [--wait <time>] [--min <n>] [--max <n>] [<flag>...]"},
       .examples = {"geres scaler pool set here --max 4",
                    "geres scaler pool set cpu --policy messageWaitingTime --wait 30s --max 50",
                    "geres scaler pool set cpu -f pool.json", "geres scaler pool set cpu --mode observe"},
       .flags = set_flags(),
       .run = set,
       .arguments_min = 1,
       .arguments_max = 1,
       .live = Live::pools},
      verb("pool show", "Print a pool as JSON, as pool set -f takes it", "cpu", show),
      std::move(removal),
      verb("pause", "Leave a pool as it is: order nothing, drain nothing", "cpu", pause),
      verb("resume", "Let a paused pool grow and shrink again", "cpu", resume),
      std::move(by_hand),
  };
}

}  // namespace geres::cli
