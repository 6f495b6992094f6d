// SPDX-License-Identifier: Apache-2.0
// All commands in the order of the help, and the lookups in that table.
#include "cli/command.h"

#include <algorithm>

namespace geres::cli {
namespace {

std::vector<Command> gather() {
  std::vector<Command> all;
  for (auto make :
       {serve_commands,      store_commands,      submit_commands,  watch_commands,       job_commands,
        job_change_commands, batch_commands,      package_commands, status_commands,      top_commands,
        web_commands,        host_commands,       scaler_commands,  scaler_pool_commands, scaler_rehearse_commands,
        tenant_commands,     token_commands,      auth_commands,    webhook_commands,     event_commands,
        doctor_commands,     completion_commands, help_commands})
    for (auto& command : make()) all.push_back(std::move(command));
  return all;
}

}  // namespace

const std::vector<Command>& commands() {
  static const std::vector<Command> all = gather();
  return all;
}

const Command* find_command(const std::string& path) {
  for (const auto& command : commands())
    if (command.path == path) return &command;
  return nullptr;
}

const std::vector<Alias>& aliases() {
  static const std::vector<Alias> all = {
      {{"run"}, {"submit", "--wait", "--exit-status"}},
      {{"ps"}, {"job", "list", "--state", "scheduled,blocked,ready,leased,running"}},
      {{"jobs"}, {"job", "list"}},
      {{"list"}, {"job", "list"}},
      {{"ls"}, {"job", "list"}},
      {{"logs"}, {"job", "log"}},
      {{"log"}, {"job", "log"}},
      {{"show"}, {"job", "show"}},
      {{"why"}, {"job", "why"}},
      {{"cancel"}, {"job", "cancel"}},
      {{"redrive"}, {"job", "redrive"}},
      {{"batches"}, {"batch", "list"}},
      {{"packages"}, {"package", "list"}},
      {{"tenants"}, {"tenant", "list"}},
      {{"tokens"}, {"token", "list"}},
      {{"webhooks"}, {"webhook", "list"}},
      {{"hosts", "list"}, {"hosts"}},
      {{"hosts", "ls"}, {"hosts"}},
      {{"host", "list"}, {"hosts"}},
      {{"hosts", "show"}, {"hosts"}},
      {{"pools"}, {"scaler", "pools"}},
      {{"scale"}, {"scaler", "scale"}},
      {{"autoscaler"}, {"scaler"}},
      {{"scaler", "list"}, {"scaler", "pools"}},
      {{"scaler", "pool", "list"}, {"scaler", "pools"}},
  };
  return all;
}

std::vector<std::string> subcommands(const std::string& path) {
  std::vector<std::string> names;
  const std::string start = path.empty() ? "" : path + " ";
  for (const auto& command : commands()) {
    if (!command.path.starts_with(start) || command.path.starts_with("__")) continue;
    const std::string rest = command.path.substr(start.size());
    if (!rest.empty() && rest.find(' ') == std::string::npos) names.push_back(rest);
  }
  return names;
}

const std::vector<Flag>& remote_flags() {
  static const std::vector<Flag> flags = {
      {.name = "hub", .value = "URL", .help = "the hub (default 127.0.0.1:8080)", .environment = "GERES_HUB"},
      {.name = "token",
       .value = "TOKEN",
       .help = "who asks (default: the token that geres up keeps for its user)",
       .environment = "GERES_TOKEN"},
      {.name = "token-file",
       .value = "FILE",
       .help = "who asks: the token in this file, read again when it changes",
       .environment = "GERES_TOKEN_FILE",
       .live = Live::files},
      {.name = "token-command",
       .value = "COMMAND",
       .help = "who asks: the token that this prints",
       .environment = "GERES_TOKEN_COMMAND"},
      {.name = "ca",
       .value = "FILE",
       .help = "https: trust these authorities (default: the system's)",
       .environment = "GERES_CA",
       .live = Live::files,
       .elsewhere = {"cacert"}},
      {.name = "ca-pin",
       .value = "PIN",
       .help = "https: trust the key that the hub shows when it starts",
       .environment = "GERES_CA_PIN"},
  };
  return flags;
}

const std::vector<Flag>& common_flags() {
  static const std::vector<Flag> flags = {
      {.name = "output",
       .value = "FORMAT",
       .help = "table or json",
       .kind = Kind::choice,
       .choices = {"table", "json"},
       .environment = "GERES_OUTPUT"},
      {.name = "fields", .value = "A,B", .help = "only these members of the answer"},
      {.name = "quiet", .help = "only what was asked for: no talk", .letter = 'q'},
      {.name = "help", .help = "this text", .letter = 'h'},
      {.name = "version", .help = "the version", .letter = 'v'},
  };
  return flags;
}

std::vector<const Flag*> all_flags(const Command& command) {
  std::vector<const Flag*> flags;
  for (const auto& flag : command.flags) flags.push_back(&flag);
  const auto add = [&](const std::vector<Flag>& more) {
    for (const auto& flag : more)
      if (std::none_of(flags.begin(), flags.end(), [&](const Flag* f) { return f->name == flag.name; }))
        flags.push_back(&flag);
  };
  if (command.remote) add(remote_flags());
  add(common_flags());
  return flags;
}

}  // namespace geres::cli
