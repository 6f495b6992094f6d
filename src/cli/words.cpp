// SPDX-License-Identifier: Apache-2.0
#include "cli/words.h"

#include <algorithm>
#include <charconv>

#include "base/bytes.h"
#include "base/duration.h"
#include "base/similar.h"
#include "cli/moments.h"
#include "cli/text.h"
#include "cli/trouble.h"

namespace geres::cli {
namespace {

const Flag* find_flag(const std::vector<const Flag*>& flags, const std::string& name) {
  for (const auto* flag : flags)
    if (flag->name == name) return flag;
  return nullptr;
}

const Flag* find_letter(const std::vector<const Flag*>& flags, char letter) {
  for (const auto* flag : flags)
    if (flag->letter == letter) return flag;
  return nullptr;
}

// Never suggests commands that start a daemon, nor other nouns: "hosts lst" does not mean "job list".
[[noreturn]] void unknown_command(const std::string& parent, const std::string& word) {
  const auto known = subcommands(parent);
  auto guesses = known;
  if (parent.empty()) {
    for (const auto& alias : aliases())
      if (alias.words.size() == 1) guesses.push_back(alias.words[0]);
    std::erase_if(guesses, [](const std::string& guess) { return guess == "up" || guess == "hub" || guess == "host"; });
  }
  const std::string full = parent.empty() ? word : parent + " " + word;
  std::string next;
  if (parent.empty()) {
    // The word may be valid in exactly one other place: "geres push" for "geres package push".
    for (const auto& command : commands()) {
      if (!command.path.ends_with(" " + word)) continue;
      next = next.empty() ? "geres " + command.path : "geres help";
    }
  }
  const std::string near = nearest(word, guesses);
  if (next.empty() && !near.empty()) next = "geres " + (parent.empty() ? near : parent + " " + near);
  if (next.empty()) next = parent.empty() ? "geres help" : "geres " + parent + " --help";
  usage_error("there is no command '" + full + "'",
              (parent.empty() ? "the commands are " : "'" + parent + "' has ") + joined(known), next);
}

// Replaces aliases: "logs 77d0b7" becomes "job log 77d0b7", "jobs cancel" becomes "job cancel".
std::vector<std::string> without_aliases(std::vector<std::string> args, std::size_t at) {
  const auto first = args.begin() + std::ptrdiff_t(at);
  if (first == args.end()) return args;
  const auto begins_with = [&](const std::vector<std::string>& words) {
    return words.size() <= args.size() - at && std::equal(words.begin(), words.end(), first);
  };
  // A plural noun before one of its verbs.
  if (first->ends_with('s') && first + 1 != args.end()) {
    for (const auto& one : {first->substr(0, first->size() - 1), first->substr(0, first->size() - 2)}) {
      const auto verbs = subcommands(one);
      if (find_command(*first) != nullptr || std::find(verbs.begin(), verbs.end(), first[1]) == verbs.end()) continue;
      *first = one;
      return args;
    }
  }
  for (const auto& alias : aliases()) {
    if (!begins_with(alias.words) || find_command(joined(alias.words, " ")) != nullptr) continue;
    const auto place = args.erase(first, first + std::ptrdiff_t(alias.words.size()));
    args.insert(place, alias.means.begin(), alias.means.end());
    return args;
  }
  return args;
}

[[noreturn]] void unknown_flag(const Command& command, const std::vector<const Flag*>& flags, const std::string& word) {
  std::vector<std::string> known;
  for (const auto* flag : flags) known.push_back("--" + flag->name);
  std::string near = nearest(word, known);
  for (const auto* flag : flags)
    for (const auto& name : flag->elsewhere)
      if (word == "--" + name) near = "--" + flag->name + (flag->value.empty() ? "" : " " + flag->value);
  std::vector<std::string> own;
  for (const auto& flag : command.flags) own.push_back("--" + flag.name);
  usage_error("'" + command.path + "' has no flag " + word, own.empty() ? "" : "it has " + joined(own, " "),
              near.empty() ? "geres " + command.path + " --help" : near, word);
}

// The longest command path at the start of the words; `at` is moved past it.
const Command* take_command(const std::vector<std::string>& args, std::size_t& at) {
  std::string path;
  const Command* found = nullptr;
  while (at < args.size() && !args[at].starts_with('-')) {
    const std::string longer = path.empty() ? args[at] : path + " " + args[at];
    const auto* command = find_command(longer);
    if (command == nullptr) {
      if (found == nullptr || !found->run) unknown_command(path, args[at]);
      // "hosts drian": an argument where only a subcommand can follow.
      if (found->arguments_max == 0 && !subcommands(path).empty()) unknown_command(path, args[at]);
      break;
    }
    found = command;
    path = longer;
    ++at;
  }
  return found;
}

void store(Words& words, const Flag& flag, const std::string& value) {
  auto& values = words.flags[flag.name];
  if (!values.empty() && !flag.many && !flag.value.empty())
    usage_error("--" + flag.name + " is given twice", "'" + values.front() + "' and '" + value + "'", {},
                "--" + flag.name);
  values.push_back(value);
}

void check_count(const Words& words) {
  const auto& command = *words.command;
  const auto n = words.arguments.size();
  const std::string usage = "geres " + command.path + (command.usage.empty() ? "" : " " + command.usage.front());
  if (n < command.arguments_min)
    usage_error("'" + command.path + "' needs " +
                    (command.arguments_min == 1 ? "an argument" : std::to_string(command.arguments_min) + " arguments"),
                n == 0 ? "there is none" : "there is only '" + joined(words.arguments, "' and '") + "'", usage);
  if (n > command.arguments_max)
    usage_error("'" + words.arguments[command.arguments_max] + "' is one word too many",
                "'" + command.path + "' takes " +
                    (command.arguments_max == 0 ? "no arguments" : "at most " + std::to_string(command.arguments_max)),
                usage);
}

}  // namespace

std::optional<std::string> Words::value(const std::string& flag) const {
  const auto found = flags.find(flag);
  if (found == flags.end()) return std::nullopt;
  return found->second.back();
}

Words parse_words(const std::vector<std::string>& given) {
  Words words;
  std::vector<std::string> args = given;
  std::size_t at = 0;
  // Flags that every command has may come before the command.
  std::vector<std::string> early;
  while (at < args.size() && args[at].starts_with('-') && args[at] != "--") {
    early.push_back(args[at++]);
    for (const auto* list : {&remote_flags(), &common_flags()})
      for (const auto& flag : *list)
        if (!flag.value.empty() && early.back() == "--" + flag.name && at < args.size()) early.push_back(args[at++]);
  }
  args = without_aliases(std::move(args), at);
  words.command = take_command(args, at);
  static const Command kNoCommand{"geres", "", {}, {}, {}, {}};
  const Command& command = words.command != nullptr ? *words.command : kNoCommand;
  const auto flags = all_flags(command);

  std::vector<std::string> rest = early;
  rest.insert(rest.end(), args.begin() + std::ptrdiff_t(at), args.end());
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const std::string& word = rest[i];
    if (word == "--") {
      words.dashes = true;
      words.after_dashes.assign(rest.begin() + std::ptrdiff_t(i) + 1, rest.end());
      break;
    }
    if (word.size() < 2 || word[0] != '-') {
      // A command may come without the lone --; everything after its first word belongs to it.
      if (command.takes_words && !words.has("each-input")) {
        words.dashes = true;
        words.after_dashes.assign(rest.begin() + std::ptrdiff_t(i), rest.end());
        break;
      }
      words.arguments.push_back(word);
      continue;
    }
    const bool is_long = word[1] == '-';
    const auto equals = is_long ? word.find('=') : std::string::npos;
    const std::string name = word.substr(0, equals);
    const Flag* flag = is_long ? find_flag(flags, name.substr(2)) : find_letter(flags, word[1]);
    if (flag == nullptr || (!is_long && word.size() > 2)) unknown_flag(command, flags, name);
    if (flag->value.empty()) {
      if (equals != std::string::npos) usage_error(name + " takes no value", {}, name, name);
      store(words, *flag, "");
      continue;
    }
    if (equals == std::string::npos && i + 1 == rest.size())
      usage_error(name + " needs a value", {}, name + " " + flag->value, name);
    const std::string value = equals != std::string::npos ? word.substr(equals + 1) : rest[++i];
    if (value == "--" ||
        (equals == std::string::npos && value.starts_with("--") && find_flag(flags, value.substr(2)) != nullptr))
      usage_error(name + " needs a value", "'" + value + "' follows it", name + " " + flag->value, name);
    if (value.empty())
      usage_error(name + " is empty", "a variable that is not set?", "leave it out, or " + name + " " + flag->value,
                  name);
    check_value(*flag, value, name);
    store(words, *flag, value);
  }
  if (words.has("help") || words.wants_version() || words.command == nullptr) return words;
  if (!command.run) {
    const auto known = subcommands(command.path);
    usage_error("'" + command.path + "' needs one more word", "it has " + joined(known),
                "geres " + command.path + " " + known.front());
  }
  if (words.dashes && !command.takes_words) {
    words.arguments.insert(words.arguments.end(), words.after_dashes.begin(), words.after_dashes.end());
    words.after_dashes.clear();
  }
  check_count(words);
  if (command.live != Live::files)  // the words of a command to run may be any bytes
    for (const auto& word : words.arguments) check_text(word, "");
  return words;
}

void check_text(const std::string& text, const std::string& source) {
  if (valid_utf8(text)) return;
  usage_error((source.empty() ? "'" : source + " '") + text + "' is not UTF-8",
              "all text in GeRes is; these bytes are of another encoding, such as Latin-1",
              "a terminal with UTF-8; other bytes go into a file: geres run ./script.sh", source);
}

Toward toward_of(const Flag& flag) {
  return flag.kind == Kind::past_time ? Toward::past : Toward::future;
}

void check_value(const Flag& flag, const std::string& value, const std::string& source) {
  const auto wrong = [&](const std::string& what, const std::string& next) {
    usage_error(source + " '" + value + "' is not " + what, {}, next, source);
  };
  if (flag.live != Live::files) check_text(value, source);
  const std::string name = "--" + flag.name + " ";
  switch (flag.kind) {
    case Kind::text:
      break;
    case Kind::integer: {
      std::int64_t n = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
      if (error != std::errc() || end != value.data() + value.size()) wrong("a whole number", name + "10");
      break;
    }
    case Kind::duration:
      if (!parse_duration(value)) wrong("a duration", name + "30s (also 500ms, 10m, 1h30m, 2d, 2w)");
      break;
    case Kind::size:
      if (!parse_size(value)) wrong("a size", name + "512MiB (also 2gb, 64k, or bytes alone)");
      break;
    case Kind::time:
    case Kind::past_time:
      if (!moment_of(value, SystemClock().wall(), toward_of(flag)))
        wrong("a time", moment_examples("--" + flag.name, toward_of(flag)));
      break;
    case Kind::pair:
      if (value.find('=') == std::string::npos || value.front() == '=') wrong("NAME=VALUE", name + "NAME=VALUE");
      break;
    case Kind::choice: {
      for (const auto& part : flag.many ? split(value, ',') : std::vector<std::string>{value}) {
        if (std::find(flag.choices.begin(), flag.choices.end(), part) != flag.choices.end()) continue;
        const std::string near = nearest(part, flag.choices);
        usage_error(source + " '" + part + "' is not known", "it is one of " + joined(flag.choices),
                    near.empty() ? "" : name + near, source);
      }
      break;
    }
  }
}

std::pair<std::string, std::string> pair_of(const std::string& text) {
  const auto at = text.find('=');
  return {text.substr(0, at), at == std::string::npos ? "" : text.substr(at + 1)};
}

}  // namespace geres::cli
