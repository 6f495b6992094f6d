// SPDX-License-Identifier: Apache-2.0
// Prints one line per check: what is well, what is wrong and how to fix it, and what looks odd but is fine. The names
// of the checks are stable, because JSON readers rely on them.
#include "base/duration.h"
#include "cli/context.h"
#include "cli/credentials.h"
#include "cli/machine_checks.h"
#include "cli/serve.h"

namespace geres::cli {
namespace {

Check check_hub(Context& context, json::value& info) {
  const auto answer = context.hub().get("/v1/info");
  if (!answer) {
    const auto trouble = context.trouble_of(answer.error());
    if (trouble.exit == kNotAllowed) return {"hub", Finding::passed, "there is one at " + context.hub_url()};
    return {"hub", Finding::failed, trouble.error + (trouble.why.empty() ? "" : ": " + trouble.why), trouble.next};
  }
  info = *answer;
  return {"hub", Finding::passed, "version " + text_of(info, "version") + " at " + context.hub_url()};
}

Check check_token(Context& context, const json::value& info) {
  const auto& caller = member_of(info, "caller");
  if (caller.is_object()) {
    std::vector<std::string> roles;
    for (const auto& role : items_of(member_of(caller, "roles")))
      if (role.is_string()) roles.emplace_back(role.get_string());
    return {"token", Finding::passed, "'" + text_of(caller, "name") + "' with " + joined(roles)};
  }
  const auto answer = context.hub().get("/v1/jobs", {{"limit", "1"}});
  if (answer) return {"token", Finding::passed, "it is accepted"};
  const auto trouble = context.trouble_of(answer.error());
  return {"token", Finding::failed, trouble.error, trouble.next};
}

Check check_clock(Context& context, const json::value& info, Millis before) {
  const auto text = text_of(info, "now");
  const auto theirs = parse_time(text);
  if (!theirs) return {"clock", Finding::fine, "the hub does not tell its time"};
  const auto after = context.now();
  const Millis offset = *theirs - (before + after) / 2;
  const auto size = offset < 0 ? -offset : offset;
  const std::string words =
      "the hub's clock is " + std::to_string(size) + " ms " + (offset < 0 ? "behind" : "ahead of") + " this machine's";
  if (size <= 1'000) return {"clock", Finding::passed, words};
  return {"clock", Finding::failed, words, "sudo timedatectl set-ntp true, on both machines"};
}

Check check_store(const json::value& info) {
  const auto& store = member_of(info, "store");
  std::string words = text_of(store, "kind");
  const auto path = text_of(store, "path");
  if (!path.empty()) words += " at " + home_short(path) + ", " + format_size(number_of(store, "sizeBytes"));
  if (!member_of(store, "meanCommitMs").is_number()) return {"store", Finding::passed, words};
  const double commit = client::real_of(store, "meanCommitMs");
  char text[48];
  std::snprintf(text, sizeof text, ", mean commit %.1f ms", commit);
  words += text;
  if (commit <= 250) return {"store", Finding::passed, words};
  return {"store", Finding::failed, words,
          "put the store on a faster disk: geres hub --store sqlite:/fast/disk/geres.db"};
}

// Only operators are told.
std::optional<Check> check_files(const json::value& info) {
  const auto& files = member_of(info, "files");
  if (!files.is_object()) return std::nullopt;
  const auto trouble = text_of(files, "trouble");
  if (trouble.empty()) return Check{"files", Finding::passed, "in " + text_of(files, "place")};
  return Check{"files", Finding::failed, "the hub does not reach " + text_of(files, "place") + ": " + trouble,
               "what runs goes on; see \"When the store is away\" in docs/blobs.md"};
}

Check check_hosts(Context& context) {
  const auto answer = context.hub().get("/v1/hosts");
  if (!answer) return {"hosts", Finding::fine, "this token may not list them"};
  std::size_t live = 0;
  std::vector<std::string> loose, shared, watched;
  for (const auto& host : items_of(*answer)) {
    if (!text_of(host, "state").empty() && text_of(host, "state") != "live") continue;
    ++live;
    if (text_of(host, "containment") == "bestEffort") loose.push_back(text_of(host, "name"));
    if (text_of(host, "isolation") == "none") shared.push_back(text_of(host, "name"));
    if (text_of(member_of(host, "limits"), "memory") == "watched") watched.push_back(text_of(host, "name"));
  }
  if (live == 0)
    return {"hosts", Finding::failed, "no host is there: nothing can run", "geres host --hub " + context.hub_url()};
  const auto words = plural(std::int64_t(live), "host");
  if (!loose.empty())
    return {"hosts", Finding::fine,
            words + "; on " + joined(loose) +
                " a job that means to can leave processes behind: its machine allows no containment"};
  if (!shared.empty())
    return {"hosts", Finding::fine,
            words + "; on " + joined(shared) + " jobs can read and change all that the host itself can",
            "run it as root, or where the kernel has Landlock; or let it run the jobs of one trusted person only"};
  if (!watched.empty())
    return {
        "hosts", Finding::fine,
        words + "; on " + joined(watched) + " a job's memory is looked at a few times a second, not held by the kernel",
        "run it as root, or with Delegate=yes in its unit, where jobs are not to be trusted with memory"};
  return {"hosts", Finding::passed, words};
}

// All of the above together, and what nobody thought of: runs a job as it would run here.
Check check_trial(Context& context, const std::filesystem::path& data) {
  try {
    context.services.try_host(existing(data), machine_slots());
    return {"trial", Finding::passed, "a job runs here, with the limits and as the user that a host would give it"};
  } catch (const Trouble& trouble) {
    return {"trial", Finding::failed, trouble.error + (trouble.why.empty() ? "" : ": " + trouble.why), trouble.next};
  } catch (const std::exception& trouble) {  // no place for its directory
    return {"trial", Finding::failed, std::string("it cannot be tried: ") + trouble.what(),
            "--data DIR, one of your own"};
  }
}

void print(Context& context, const std::vector<Check>& checks) {
  auto& output = context.output;
  for (const auto& check : checks) {
    const char* word = check.finding == Finding::passed   ? "PASSED"
                       : check.finding == Finding::failed ? "FAILED"
                                                          : "fine";
    const auto colour = check.finding == Finding::passed   ? Colour::green
                        : check.finding == Finding::failed ? Colour::red
                                                           : Colour::yellow;
    if (!output.look.out_terminal) {
      output.line(std::string(word) + "\t" + check.name + "\t" + clean(check.message) + "\t" + clean(check.fix));
      continue;
    }
    output.prose(paint(pad(word, 6), colour, output.look.out_colour) + "  " + pad(check.name, 15), clean(check.message),
                 23);
    // Unbroken, so that it can be pasted.
    if (!check.fix.empty()) output.line(std::string(23, ' ') + output.grey("fix: ") + clean(check.fix));
  }
}

// Without a home directory there is no default, but the other checks still run.
std::filesystem::path data_of(Context& context, std::vector<Check>& checks) {
  if (const auto given = context.value("data")) return *given;
  try {
    return data_directory();
  } catch (const Trouble& trouble) {
    checks.push_back({"home", Finding::failed, trouble.error, trouble.next + ", or --data DIR"});
    return "/tmp";
  }
}

// The directory is on this machine, but GERES_HUB or --hub may name a hub elsewhere, with other files and another disk.
// With --data the user has said which directory is meant.
void say_whose(const Context& context, const std::filesystem::path& data, std::vector<Check>& checks) {
  if (context.has("data") || context.hub_source() == "the default") return;
  const auto left = read_left_token(data);
  if ((left.token.empty() && left.hub.empty()) || left.belongs_to(context.hub_url())) return;
  for (auto& check : checks)
    if (check.name == "dataDirectory" && check.finding == Finding::passed)
      check = {check.name, Finding::fine,
               check.message + " belongs to " + left.owner() + ", not to " + context.hub_url() + " (from " +
                   context.hub_source() + ")",
               "--data DIR, the data directory of the hub that is meant"};
}

int doctor(Context& context) {
  std::vector<Check> checks;
  json::value info = nullptr;
  const auto before = context.now();
  checks.push_back(check_hub(context, info));
  if (checks.front().finding != Finding::failed) {
    checks.push_back(check_token(context, info));
    if (info.is_object()) {
      checks.push_back(check_clock(context, info, before));
      checks.push_back(check_store(info));
      if (auto files = check_files(info)) checks.push_back(std::move(*files));
    }
    checks.push_back(check_hosts(context));
  }
  const auto data = data_of(context, checks);
  for (auto& check : check_machine(data)) checks.push_back(std::move(check));
  say_whose(context, data, checks);
  if (context.services.try_host) checks.push_back(check_trial(context, data));
  bool failed = false;
  json::array list;
  for (const auto& check : checks) {
    const char* word = check.finding == Finding::passed   ? "passed"
                       : check.finding == Finding::failed ? "failed"
                                                          : "fine";
    failed = failed || check.finding == Finding::failed;
    json::object item{{"name", check.name}, {"state", word}, {"message", check.message}};
    if (!check.fix.empty()) item["fix"] = check.fix;
    list.push_back(item);
  }
  if (context.output.look.json)
    context.show_json(json::object{{"items", list}});
  else
    print(context, checks);
  return failed ? kFailed : kDone;
}

}  // namespace

std::vector<Command> doctor_commands() {
  return {{.path = "doctor",
           .sentence = "Check the hub, the token and this machine, and say how to mend what is wrong",
           .usage = {"[--data <directory>]"},
           .examples = {"geres doctor", "geres doctor --output json"},
           .flags = {{.name = "data",
                      .value = "DIR",
                      .help = "the data directory to look at",
                      .environment = "GERES_DATA",
                      .live = Live::files}},
           .run = doctor,
           .group = Group::admin}};
}

}  // namespace geres::cli
