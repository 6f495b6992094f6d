// SPDX-License-Identifier: Apache-2.0
// hub check, hub backup, hub restore: what an operator does to a hub's store beside the hub. It works on the files of
// this machine, with or without a hub that runs on them.
#include "cli/context.h"
#include "cli/serve.h"

namespace geres::cli {
namespace {

StoreSettings store_settings(Context& context) {
  StoreSettings settings;
  const std::filesystem::path data = context.value_or("data", "");
  settings.data = data.empty() ? data_directory() : std::filesystem::absolute(data).lexically_normal();
  settings.store = context.value_or("store", "");
  if (!settings.store.empty() && !settings.store.starts_with("sqlite:"))
    usage_error("--store '" + settings.store + "' is not a store", {}, "--store sqlite:FILE", "--store");
  return settings;
}

[[noreturn]] void not_wired() {
  throw Trouble{kUsage, "this program was built without a hub"};
}

// "3 ready, 120 finished"
std::string states_text(const json::value& jobs) {
  std::string text;
  for (const auto& [state, count] : jobs.as_object())
    if (count.to_number<std::int64_t>() > 0)
      text += (text.empty() ? "" : ", ") + std::to_string(count.to_number<std::int64_t>()) + " " + std::string(state);
  return text.empty() ? "none" : text;
}

std::string events_text(const json::object& found) {
  const auto& events = found.at("events").as_object();
  const auto number = [&](const char* name) { return std::to_string(events.at(name).to_number<std::int64_t>()); };
  const std::string log = "   log " + std::string(found.at("log").as_string());
  return number("kept") == "0" ? "none" + log : number("first") + " to " + number("last") + log;
}

void print_check(Context& context, const json::object& found) {
  auto& output = context.output;
  std::size_t count = 0;
  for (const auto& item : found.at("violations").as_array()) {
    const std::string table = text_of(item, "table"), row = text_of(item, "row");
    const std::string where = table + (row.empty() || table.empty() ? "" : " ") + row;
    output.line(text_of(item, "invariant") + "  " + (where.empty() ? "" : clean(where) + ": ") +
                clean(text_of(item, "sentence")) + "  " + output.grey("(" + text_of(item, "rule") + ")"));
    ++count;
  }
  if (count > 0) return;
  const auto row = [&](const char* name, const std::string& text) {
    output.line("  " + output.grey(pad(name, 10)) + text);
  };
  output.line(output.bold("OK") + "  " + home_short(text_of(found, "store")));
  row("Jobs", states_text(found.at("jobs")));
  row("Events", events_text(found));
  row("Tick", std::to_string(found.at("tick").to_number<std::int64_t>()));
  row("Rules", std::to_string(found.at("rules").to_number<std::int64_t>()) + ", and no row breaks one");
}

// The figures, or what is wrong and where.
void show_check(Context& context, const json::object& found) {
  if (context.output.look.json)
    context.show_json(found);
  else
    print_check(context, found);
}

// Ends the command if rows break rules.
int judge(const json::object& found, const std::string& what, const std::string& next) {
  if (found.at("ok").as_bool()) return kDone;
  const auto count = std::int64_t(found.at("violations").as_array().size());
  throw Trouble{kFailed,
                what + (found.at("more").as_bool() ? ": more than " : ": ") + plural(count, "row") +
                    (count == 1 ? " breaks a rule" : " break rules"),
                {},
                next,
                "damaged"};
}

int check(Context& context) {
  const auto settings = store_settings(context);
  if (!context.services.check) not_wired();
  const auto found = context.services.check(settings);
  show_check(context, found);
  return judge(found, "the store " + text_of(found, "store") + " is damaged",
               "keep a copy of it, and restore a backup: geres hub restore");
}

std::filesystem::path file_argument(Context& context) {
  return std::filesystem::absolute(context.words.arguments.at(0)).lexically_normal();
}

int backup(Context& context) {
  const auto settings = store_settings(context);
  if (!context.services.backup) not_wired();
  const auto found = context.services.backup(settings, file_argument(context));
  show_check(context, found);
  if (found.at("ok").as_bool())
    context.output.talk("It names packages and files in DATA/blobs: copy that directory now, and DATA/admin.token.");
  return judge(found, "the backup is written, but the store that it is of is damaged", "geres hub check");
}

int restore(Context& context) {
  const auto settings = store_settings(context);
  if (!context.services.restore) not_wired();
  const auto found = context.services.restore(settings, file_argument(context), context.has("replace"));
  show_check(context, found);
  if (const auto kept = text_of(found, "kept"); !kept.empty())
    context.output.talk("The store that was there is kept as " + home_short(kept));
  return judge(found, "nothing was restored, because the backup is damaged", "another backup");
}

std::vector<Flag> store_flags() {
  return {{.name = "data",
           .value = "DIR",
           .help = "where the hub's files lie (default ~/.local/share/geres)",
           .environment = "GERES_DATA",
           .live = Live::files},
          {.name = "store", .value = "STORE", .help = "sqlite:FILE (default DATA/geres.db)"}};
}

std::vector<Flag> restore_flags() {
  auto flags = store_flags();
  flags.push_back({.name = "replace", .value = "", .help = "if a store is there: keep it under another name"});
  return flags;
}

}  // namespace

std::vector<Command> store_commands() {
  return {{.path = "hub check",
           .sentence = "Audit a hub's store: every rule that must hold between its rows, whether the hub runs or not",
           .usage = {"[--data <directory>] [--store <store>]"},
           .examples = {"geres hub check", "geres hub check --data /srv/geres --output json"},
           .flags = store_flags(),
           .run = check,
           .remote = false},
          {.path = "hub backup",
           .sentence = "Copy a hub's store into a file, consistent and checked, while the hub goes on",
           .usage = {"<file> [--data <directory>] [--store <store>]"},
           .examples = {"geres hub backup /backup/monday.db", "geres hub backup /backup/geres.db --data /srv/geres"},
           .flags = store_flags(),
           .run = backup,
           .arguments_min = 1,
           .arguments_max = 1,
           .live = Live::files,
           .remote = false},
          {.path = "hub restore",
           .sentence = "Make a hub's store from a backup; no hub may run on it",
           .usage = {"<file> [--data <directory>] [--store <store>] [--replace]"},
           .examples = {"geres hub restore /backup/monday.db --data /srv/geres"},
           .flags = restore_flags(),
           .run = restore,
           .arguments_min = 1,
           .arguments_max = 1,
           .live = Live::files,
           .remote = false}};
}

}  // namespace geres::cli
