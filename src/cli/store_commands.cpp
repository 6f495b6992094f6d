// SPDX-License-Identifier: Apache-2.0
// hub check, hub backup, hub restore: what an operator does to a hub's store, or to everything the hub keeps. They work
// on files of this machine, whether or not a hub is running on them.
#include <cstdlib>

#include "base/origin.h"
#include "cli/context.h"
#include "cli/credentials.h"
#include "cli/serve.h"

namespace geres::cli {
namespace {

// These commands work on files, but GERES_HUB or --hub may name a hub whose files are elsewhere, and that hub is
// probably meant. With --data the user has said which files.
void check_whose(const Context& context, const std::filesystem::path& data) {
  const char* named = std::getenv("GERES_HUB");
  if (context.has("data") || context.has("store") || named == nullptr || *named == '\0') return;
  const auto left = read_left_token(data);
  if (left.belongs_to(hub_address(named))) return;
  throw Trouble{
      kUsage,
      "GERES_HUB names " + std::string(named) + ", but " + home_short(data.string()) + " belongs to " + left.owner(),
      "this command works on files of this machine", "--data DIR, the data directory of the hub that is meant",
      "--data"};
}

StoreSettings store_settings(Context& context) {
  StoreSettings settings;
  const std::filesystem::path data = context.value_or("data", "");
  settings.data = data.empty() ? data_directory() : std::filesystem::absolute(data).lexically_normal();
  settings.store = context.value_or("store", "");
  if (!settings.store.empty() && !settings.store.starts_with("sqlite:"))
    usage_error("--store '" + settings.store + "' is not a store", {}, "--store sqlite:FILE", "--store");
  settings.blobs = context.value_or("blobs", "");
  if (!settings.blobs.empty() && !settings.blobs.starts_with("dir:"))
    usage_error("--blobs '" + settings.blobs + "' is not a place for blobs", {}, "--blobs dir:DIRECTORY", "--blobs");
  check_whose(context, settings.data);
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

std::string pile_text(const json::value& pile) {
  const auto files = number_of(pile, "files");
  return std::to_string(files) + (files == 0 ? "" : ", " + format_size(number_of(pile, "bytes")));
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
  if (found.contains("source")) row("From", home_short(text_of(found, "source")));
  row("Jobs", states_text(found.at("jobs")));
  row("Events", events_text(found));
  row("Tick", std::to_string(found.at("tick").to_number<std::int64_t>()));
  row("Rules", std::to_string(found.at("rules").to_number<std::int64_t>()) + ", and no row breaks one");
  if (!found.contains("blobs")) return;
  if (found.contains("blobsElsewhere"))
    row("Files", "stay in " + text_of(found, "blobsElsewhere") + ", and are not in this backup");
  else
    row("Files", pile_text(found.at("blobs")));
  row("Logs", pile_text(found.at("logs")));
  row("Token", found.at("adminToken").as_bool() ? "admin.token" : "none");
}

// Prints the figures, or what is wrong and where.
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

// A name that looks like a store's means a backup of the store alone.
bool is_store_name(const std::filesystem::path& path) {
  const auto ending = path.extension();
  return !std::filesystem::is_directory(path) && (ending == ".db" || ending == ".sqlite" || ending == ".sqlite3");
}

int judge_backup(const json::object& found) {
  judge(found, "the backup is written, but the store that it is of is damaged", "geres hub check");
  const auto* lost = found.if_contains("lostCount");
  if (lost == nullptr || lost->as_int64() == 0) return kDone;
  throw Trouble{kFailed,
                "the backup is written, but " + plural(lost->as_int64(), "file") + " that the store names " +
                    (lost->as_int64() == 1 ? "is" : "are") + " damaged or not there, the first " +
                    std::string(found.at("lost").at(0).as_string()),
                {},
                "--blobs dir:DIRECTORY, if this hub keeps its blobs elsewhere",
                "damaged"};
}

int backup(Context& context) {
  const auto settings = store_settings(context);
  const auto to = file_argument(context);
  const bool store_alone = is_store_name(to);
  const auto& service = store_alone ? context.services.backup : context.services.backup_all;
  if (!service) not_wired();
  const auto found = service(settings, to);
  show_check(context, found);
  if (store_alone && found.at("ok").as_bool())
    context.output.talk("This is the store alone. With packages, files, logs and the token: geres hub backup DIR");
  return judge_backup(found);
}

json::object restore_file(Context& context, const StoreSettings& settings) {
  if (!context.services.restore) not_wired();
  return context.services.restore(settings, file_argument(context), context.has("replace"));
}

json::object restore_directory(Context& context, const StoreSettings& settings) {
  if (!context.services.restore_all) not_wired();
  for (const auto* flag : {"store", "replace"})
    if (context.has(flag))
      usage_error("--" + std::string(flag) + " goes with the backup of a store alone",
                  "the backup of a whole hub is restored into an empty directory",
                  (file_argument(context) / "geres.db").string() + " instead of the directory",
                  "--" + std::string(flag));
  return context.services.restore_all(settings, file_argument(context));
}

int restore(Context& context) {
  const auto settings = store_settings(context);
  const bool all = std::filesystem::is_directory(file_argument(context));
  const auto found = all ? restore_directory(context, settings) : restore_file(context, settings);
  show_check(context, found);
  if (const auto kept = text_of(found, "kept"); !kept.empty())
    context.output.talk("The store that was there is kept as " + home_short(kept));
  return judge(found, "nothing was restored, because the backup is damaged", "another backup");
}

int copy_blobs(Context& context) {
  const auto settings = store_settings(context);
  if (!context.services.copy_blobs) not_wired();
  std::int64_t shown = 0;
  const auto progress = [&](std::int64_t done, std::int64_t of) {
    if (done < of && done - shown < 1'000) return;
    shown = done;
    context.output.talk(std::to_string(done) + " of " + std::to_string(of) + " files");
  };
  const auto to = context.value_or("to", "");
  if (to.empty())
    usage_error("--to is missing", "it says where the files are to be", "--to s3:BUCKET[/PREFIX] or another place",
                "--to");
  const auto found = context.services.copy_blobs(settings, context.value_or("from", ""), to, progress);
  if (context.output.look.json) context.show_json(found);
  const auto number = [&](const char* name) { return found.at(name).to_number<std::int64_t>(); };
  if (number("lostCount") > 0)
    throw Trouble{kFailed,
                  plural(number("lostCount"), "file") + " that the store names " +
                      (number("lostCount") == 1 ? "is" : "are") + " damaged or not there, the first " +
                      std::string(found.at("lost").at(0).as_string()),
                  "the others are copied", "push or upload it again, then repeat this", "damaged"};
  if (context.output.look.json) return kDone;
  context.output.line(context.output.bold("OK") + "  " + plural(number("copied"), "file") + " copied (" +
                      format_size(number("bytes")) + "), " + std::to_string(number("there")) + " there before" +
                      (number("logs") > 0 ? ", logs of " + plural(number("logs"), "job") : ""));
  context.output.talk("Next: stop the hub, repeat this for what came meanwhile, start it with --blobs " + to);
  return kDone;
}

std::vector<Flag> store_flags() {
  return {{.name = "data",
           .value = "DIR",
           .help = "where the hub's files lie (default ~/.local/share/geres)",
           .environment = "GERES_DATA",
           .live = Live::files},
          {.name = "store", .value = "STORE", .help = "sqlite:FILE (default DATA/geres.db)"}};
}

std::vector<Flag> backup_flags() {
  auto flags = store_flags();
  flags.push_back({.name = "blobs", .value = "BLOBS", .help = "dir:DIRECTORY (default DATA/blobs)"});
  return flags;
}

std::vector<Flag> copy_flags() {
  auto flags = store_flags();
  flags.push_back({.name = "from", .value = "BLOBS", .help = "where they are (default: where the hub has them)"});
  flags.push_back({.name = "to",
                   .value = "BLOBS",
                   .help = "dir:DIRECTORY, s3:BUCKET[/PREFIX] or azure:ACCOUNT/CONTAINER[/PREFIX]; see docs/blobs.md"});
  return flags;
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
           .sentence = "Copy all that a hub keeps into a directory, consistent and checked, while the hub goes on",
           .usage = {"<directory> [--data <directory>] [--store <store>] [--blobs <blobs>]",
                     "<file.db> [--data <directory>] [--store <store>]"},
           .examples = {"geres hub backup /backup/monday", "geres hub backup /backup/monday --data /srv/geres",
                        "geres hub backup /backup/store.db"},
           .flags = backup_flags(),
           .run = backup,
           .arguments_min = 1,
           .arguments_max = 1,
           .live = Live::files,
           .remote = false},
          {.path = "hub blobs",
           .sentence = "Packages and files of a hub, wherever they are kept",
           .examples = {"geres hub blobs copy --to s3:builds/geres"},
           .remote = false},
          {.path = "hub blobs copy",
           .sentence =
               "Copy all packages, files and logs to another place, checked, while the hub goes on; can be repeated",
           .usage = {"--to <blobs> [--from <blobs>] [--data <directory>] [--store <store>]"},
           .examples = {"geres hub blobs copy --to s3:builds/geres", "geres hub blobs copy --to dir:/srv/blobs"},
           .flags = copy_flags(),
           .run = copy_blobs,
           .remote = false},
          {.path = "hub restore",
           .sentence = "Make a hub's data directory, or its store, from a backup; no hub may run on it",
           .usage = {"<directory> [--data <directory>]", "<file> [--data <directory>] [--store <store>] [--replace]"},
           .examples = {"geres hub restore /backup/monday --data /srv/geres",
                        "geres hub restore /backup/store.db --data /srv/geres --replace"},
           .flags = restore_flags(),
           .run = restore,
           .arguments_min = 1,
           .arguments_max = 1,
           .live = Live::files,
           .remote = false}};
}

}  // namespace geres::cli
