// SPDX-License-Identifier: Apache-2.0
// A command as data: help, parsing, completion and "did you mean" all read these tables, so that they cannot disagree.
// Each file with commands provides its own list; commands.cpp arranges them in the order of the help.
//
//   Command::usage, after "geres PATH" (checked by a test):  <must-replace>  [optional]  {a | b}  ...  literals
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace geres::cli {

class Context;

// "2h" as a `time` means two hours from now, as a `past_time` two hours ago.
enum class Kind { text, integer, duration, size, time, past_time, pair, choice };

// What the hub (or the program) can list to complete a value.
enum class Live {
  none,
  jobs,
  batches,
  types,
  packages,
  tenants,
  hosts,
  tokens,
  webhooks,
  pools,
  files,
  topics,
  shells
};

struct Flag {
  std::string name;   // without dashes
  std::string value;  // what the help shows for its value, "N"; empty: a switch
  std::string help;
  Kind kind = Kind::text;
  std::vector<std::string> choices = {};
  std::string environment = {};
  bool many = false;  // may be given more than once
  Live live = Live::none;
  char letter = 0;                          // short form
  std::vector<std::string> elsewhere = {};  // what other programs call it: not taken, but understood in the hint
};

enum class Group { everyday, fleet, admin, hidden };

struct Command {
  std::string path;      // "job list"
  std::string sentence;  // what it does
  std::vector<std::string> usage;
  std::vector<std::string> examples;
  std::vector<Flag> flags;
  std::function<int(Context&)> run;  // empty: only its subcommands do something
  Group group = Group::hidden;       // the section of the top-level help; hidden: listed only under its parent
  std::size_t arguments_min = 0;
  std::size_t arguments_max = 0;
  Live live = Live::none;    // of its arguments
  bool takes_words = false;  // "-- COMMAND ARG..."
  bool remote = true;        // talks to a hub: --hub, --token
};

inline constexpr std::size_t kAnyNumber = std::size_t(-1);

const std::vector<Command>& commands();
const Command* find_command(const std::string& path);
std::vector<std::string> subcommands(const std::string& path);  // "list", "show", … of "job"; of "": the top ones

// Words that people bring from other tools, and the command that is meant.
struct Alias {
  std::vector<std::string> words;
  std::vector<std::string> means;
};
const std::vector<Alias>& aliases();

// Flags that every command has; those of `remote` ones come first.
const std::vector<Flag>& remote_flags();
const std::vector<Flag>& common_flags();
std::vector<const Flag*> all_flags(const Command& command);

std::vector<Command> serve_commands();
std::vector<Command> store_commands();
std::vector<Command> submit_commands();
std::vector<Command> watch_commands();
std::vector<Command> job_commands();
std::vector<Command> job_change_commands();
std::vector<Command> batch_commands();
std::vector<Command> package_commands();
std::vector<Command> host_commands();
std::vector<Command> scaler_commands();
std::vector<Command> scaler_pool_commands();
std::vector<Command> scaler_rehearse_commands();
std::vector<Command> tenant_commands();
std::vector<Command> token_commands();
std::vector<Command> auth_commands();
std::vector<Command> webhook_commands();
std::vector<Command> event_commands();
std::vector<Command> status_commands();
std::vector<Command> top_commands();
std::vector<Command> web_commands();
std::vector<Command> doctor_commands();
std::vector<Command> completion_commands();
std::vector<Command> help_commands();

}  // namespace geres::cli
