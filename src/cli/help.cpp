// SPDX-License-Identifier: Apache-2.0
#include "cli/help.h"

#include <algorithm>

#include "base/similar.h"
#include "cli/context.h"
#include "cli/text.h"

namespace geres::cli {
namespace {

std::string flag_words(const Flag& flag) {
  const std::string letter = flag.letter != 0 ? std::string("-") + flag.letter + ", " : "    ";
  return letter + "--" + flag.name + (flag.value.empty() ? "" : " " + flag.value);
}

std::string flag_lines(const std::vector<const Flag*>& flags, bool colour) {
  std::size_t width = 0;
  for (const auto* flag : flags) width = std::max(width, flag_words(*flag).size());
  std::string text;
  for (const auto* flag : flags) {
    text += "  " + pad(flag_words(*flag), width + 2) + flag->help;
    if (flag->kind == Kind::choice && !flag->choices.empty() &&
        flag->help.find(flag->choices.front()) == std::string::npos)
      text += ": " + joined(flag->choices);
    if (!flag->environment.empty()) text += paint("  [" + flag->environment + "]", Colour::grey, colour);
    text += "\n";
  }
  return text;
}

std::string group_lines(Group group) {
  std::string text;
  for (const auto& command : commands())
    if (command.group == group) text += "  " + pad(command.path, 12) + command.sentence + "\n";
  return text;
}

int show_help(Context& context) {
  const auto& words = context.words.arguments;
  auto& output = context.output;
  if (words.empty()) {
    output.out(top_help(output.look.out_colour));
    return kDone;
  }
  const std::string wanted = joined(words, " ");
  if (const auto* command = find_command(wanted)) {
    output.out(command_help(*command, output.look.out_colour));
    return kDone;
  }
  std::vector<std::string> known;
  for (const auto& topic : topics()) {
    if (topic.name == wanted) {
      output.out(topic.text);
      return kDone;
    }
    known.emplace_back(topic.name);
  }
  const std::string topic_names = joined(known);
  for (const auto& command : commands())
    if (!command.path.starts_with("__")) known.push_back(command.path);
  const auto near = nearest(wanted, known);
  usage_error("there is no help on '" + wanted + "'", "the topics are " + topic_names + ", and every command",
              "geres help" + (near.empty() ? "" : " " + near));
}

int show_version(Context& context) {
  if (context.output.look.json)
    context.show_json(json::object{{"version", GERES_VERSION}});
  else
    context.output.line("geres " GERES_VERSION);
  return kDone;
}

}  // namespace

std::string top_help(bool colour) {
  std::string text = "GeRes runs background jobs: hand in a program, watch it, get its results.\n";
  text += "Usage: geres <command> [<flag>...]   also: run ps jobs logs show why cancel web\n\n";
  text += paint("Everyday", Colour::bold, colour) + "\n" + group_lines(Group::everyday);
  text += paint("Fleet", Colour::bold, colour) + "\n" + group_lines(Group::fleet);
  text += paint("Admin", Colour::bold, colour) + "\n" + group_lines(Group::admin);
  return text +
         "First: geres help first-job  More: geres help <command>, completion, exit-codes, environment, states\n";
}

std::string command_help(const Command& command, bool colour) {
  std::string text = command.sentence + ".\n";
  const auto bold = [&](const char* title) { return "\n" + paint(title, Colour::bold, colour) + "\n"; };
  const auto below = subcommands(command.path);
  if (command.run) {
    text += "\n";
    for (const auto& usage : command.usage)
      text += (&usage == &command.usage.front() ? "Usage: " : "       ") + std::string("geres ") + command.path +
              (usage.empty() ? "" : " ") + usage + "\n";
    if (command.usage.empty()) text += "Usage: geres " + command.path + " [<flag>...]\n";
  }
  if (!below.empty()) {
    text += bold("Commands");
    for (const auto& name : below) {
      const auto& sub = *find_command(command.path + " " + name);
      text += "  " + pad(sub.path, 18) + sub.sentence + "\n";
    }
  }
  if (!command.examples.empty()) {
    text += bold("Examples");
    for (const auto& example : command.examples) text += "  " + example + "\n";
  }
  if (!command.run) return text;
  std::vector<const Flag*> own, shared;
  for (const auto& flag : command.flags) own.push_back(&flag);
  for (const auto* flag : all_flags(command))
    if (std::find(own.begin(), own.end(), flag) == own.end() && flag->name != "version") shared.push_back(flag);
  if (!own.empty()) text += bold("Flags") + flag_lines(own, colour);
  text += bold("Everywhere") + flag_lines(shared, colour);
  return text;
}

std::vector<Command> help_commands() {
  return {{.path = "version",
           .sentence = "Print the version of this program",
           .examples = {"geres version"},
           .run = show_version,
           .remote = false},
          {.path = "help",
           .sentence = "Explain a command or a topic: exit-codes, environment, states, formatting",
           .usage = {"[<command | topic>]"},
           .examples = {"geres help first-job", "geres help job list", "geres help exit-codes"},
           .run = show_help,
           .arguments_max = 3,
           .live = Live::topics,
           .remote = false}};
}

}  // namespace geres::cli
