// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.h"

#include <algorithm>
#include <set>

#include "cli/context.h"
#include "cli/help.h"
#include "cli/job_words.h"

namespace geres::cli {
namespace {

constexpr const char* kBash = R"(# geres completion for bash.  source <(geres completion bash)
_geres() {
  local line IFS=$'\n'
  COMPREPLY=()
  for line in $(geres __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null); do
    COMPREPLY+=("${line%%$'\t'*}")
  done
}
complete -o default -F _geres geres
)";

constexpr const char* kZsh = R"(#compdef geres
# geres completion for zsh.  source <(geres completion zsh)
_geres() {
  local line value
  local -a found pairs
  found=("${(@f)$(geres __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in "${found[@]}"; do
    [[ -n "$line" ]] || continue
    value="${line%%$'\t'*}"
    pairs+=("${value//:/\\:}:${line#*$'\t'}")
  done
  if (( ${#pairs} )); then _describe 'geres' pairs; else _files; fi
}
compdef _geres geres
)";

constexpr const char* kFish = R"(# geres completion for fish.  geres completion fish | source
function __geres_complete
  set -l found (geres __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)
  if test (count $found) -eq 0
    __fish_complete_path (commandline -ct)
  else
    printf '%s\n' $found
  end
end
complete -c geres -f -a '(__geres_complete)'
)";

// The line being typed, as far as it can be parsed.
struct Line {
  Words words;
  const Flag* open = nullptr;  // the flag whose value is being typed
  std::string typed;           // the last word, or what follows "--flag="
  std::string prefix;          // "--flag=" then
};

Line read_line(const std::vector<std::string>& given) {
  Line line;
  std::string path;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const bool last = i + 1 == given.size();
    const auto& word = given[i];
    static const Command kNone{"", "", {}, {}, {}, {}};
    const auto flags = all_flags(line.words.command != nullptr ? *line.words.command : kNone);
    if (word == "--" && !last) {
      line.words.dashes = true;
      line.words.after_dashes.assign(given.begin() + std::ptrdiff_t(i) + 1, given.end());
      return line;
    }
    if (word.starts_with("--")) {
      const auto equals = word.find('=');
      const auto name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
      const auto flag = std::find_if(flags.begin(), flags.end(), [&](const Flag* f) { return f->name == name; });
      const bool takes = flag != flags.end() && !(*flag)->value.empty();
      if (last && equals != std::string::npos && takes) {
        line.open = *flag;
        line.prefix = word.substr(0, equals + 1);
        line.typed = word.substr(equals + 1);
      } else if (last) {
        line.typed = word;
      } else if (takes && equals == std::string::npos && i + 2 == given.size()) {
        line.open = *flag;
        line.typed = given[++i];
      } else if (takes) {
        line.words.flags[name].push_back(equals == std::string::npos ? given[++i] : word.substr(equals + 1));
      } else if (flag != flags.end()) {
        line.words.flags[name].emplace_back();
      }
      continue;
    }
    if (last) {
      line.typed = word;
      break;
    }
    const auto longer = path.empty() ? word : path + " " + word;
    if (line.words.arguments.empty() && find_command(longer) != nullptr)
      line.words.command = find_command(longer), path = longer;
    else
      line.words.arguments.push_back(word);
  }
  return line;
}

class LiveValues {
 public:
  explicit LiveValues(Context& context) : context_(context) {
    auto& options = context_.hub().transport().options();
    options.connect_time_max = options.answer_time_max = 300;
    options.patience = 0;
  }

  std::vector<Candidate> jobs() {
    std::vector<Candidate> found{{"last", "the job you submitted last"}};
    each("/v1/jobs", {{"limit", "20"}}, [&](const json::value& item) {
      const auto job = wire::job_view(item);
      if (job.id.size() > 8)
        found.push_back({job.id.substr(job.id.size() - 8), job.type + " " + job.name + " " + job.state});
    });
    return found;
  }

  std::vector<Candidate> named(const std::string& path, const char* member, const char* about) {
    std::vector<Candidate> found;
    std::set<std::string> seen;
    client::Query query{{"limit", "200"}};
    if (path == "/v1/batches" || path == "/v1/packages")
      if (const auto tenant = context_.tenant_if()) query.emplace_back("tenant", *tenant);
    each(path, query, [&](const json::value& item) {
      const auto name = text_of(item, member);
      if (!name.starts_with("cmd-") && seen.insert(name).second) found.push_back({name, text_of(item, about)});
    });
    return found;
  }

  std::vector<Candidate> types() {
    std::vector<Candidate> found;
    std::set<std::string> seen;
    client::Query query{{"limit", "200"}};
    if (const auto tenant = context_.tenant_if()) query.emplace_back("tenant", *tenant);
    if (const auto package = context_.value("package"))
      query.emplace_back("name", package->substr(0, package->find('@')));
    each("/v1/packages", query, [&](const json::value& package) {
      if (text_of(package, "name").starts_with("cmd-")) return;
      for (const auto& type : items_of(member_of(package, "types")))
        if (type.is_string() && seen.insert(std::string(type.get_string())).second)
          found.push_back({std::string(type.get_string()), text_of(package, "name")});
    });
    return found;
  }

 private:
  void each(const std::string& path, client::Query query, const std::function<void(const json::value&)>& take) {
    const auto answer = context_.hub().get(path, std::move(query));
    if (answer)
      for (const auto& item : items_of(*answer)) take(item);
  }
  Context& context_;
};

std::vector<Candidate> live_values(Context& context, Live live) {
  std::vector<Candidate> found;
  if (live == Live::topics) {
    for (const auto& topic : topics()) found.push_back({std::string(topic.name), "topic"});
    for (const auto& name : subcommands("")) found.push_back({name, find_command(name)->sentence});
    return found;
  }
  if (live == Live::shells) return {{"bash", ""}, {"zsh", ""}, {"fish", ""}};
  if (live == Live::none || live == Live::files) return found;
  try {
    LiveValues values(context);
    switch (live) {
      case Live::jobs:
        return values.jobs();
      case Live::batches:
        return values.named("/v1/batches", "name", "state");
      case Live::packages:
        return values.named("/v1/packages", "name", "tenant");
      case Live::tenants:
        return values.named("/v1/tenants", "name", "");
      case Live::hosts:
        return values.named("/v1/hosts", "name", "state");
      case Live::tokens:
        return values.named("/v1/tokens", "id", "name");
      case Live::webhooks:
        return values.named("/v1/webhooks", "id", "name");
      case Live::pools:
        return values.named("/v1/scaler/pools", "name", "mode");
      case Live::types:
        return values.types();
      default:
        return found;
    }
  } catch (const Trouble&) {
    return found;
  }
}

std::vector<Candidate> flag_names(const Line& line) {
  std::vector<Candidate> found;
  if (line.words.command == nullptr) return {{"--help", ""}, {"--version", ""}};
  for (const auto* flag : all_flags(*line.words.command))
    if (flag->many || !line.words.has(flag->name)) found.push_back({"--" + flag->name, flag->help});
  return found;
}

std::vector<Candidate> possible(Context& context, const Line& line) {
  if (line.words.dashes) return {};
  if (line.open != nullptr) {
    std::vector<Candidate> found;
    for (const auto& choice : line.open->choices) found.push_back({choice, ""});
    return found.empty() ? live_values(context, line.open->live) : found;
  }
  if (line.typed.starts_with('-')) return flag_names(line);
  std::vector<Candidate> found;
  const auto* command = line.words.command;
  const std::string path = command == nullptr ? "" : command->path;
  if (line.words.arguments.empty())
    for (const auto& name : subcommands(path))
      found.push_back({name, find_command(path.empty() ? name : path + " " + name)->sentence});
  if (command == nullptr || !command->run || line.words.arguments.size() >= command->arguments_max) return found;
  // "package push TENANT FILE", "package delete TENANT NAME"
  const bool tenant_first = command->arguments_min == 2 && line.words.arguments.empty();
  for (auto& value : live_values(context, tenant_first ? Live::tenants : command->live))
    found.push_back(std::move(value));
  return found;
}

int print_adaptor(Context& context) {
  const auto& shell = context.words.arguments[0];
  if (shell == "bash")
    context.output.out(kBash);
  else if (shell == "zsh")
    context.output.out(kZsh);
  else if (shell == "fish")
    context.output.out(kFish);
  else
    usage_error("there is no completion for '" + shell + "'", "there is one for bash, zsh and fish",
                "geres completion bash");
  return kDone;
}

}  // namespace

std::vector<Candidate> complete(const std::vector<std::string>& words) {
  const auto line = read_line(words.empty() ? std::vector<std::string>{""} : words);
  Output output;
  output.look.quiet = true;
  const Services none;
  Context context(line.words, output, none);
  std::vector<Candidate> fitting;
  for (auto& candidate : possible(context, line))
    if (candidate.value.starts_with(line.typed))
      fitting.push_back({line.prefix + candidate.value, candidate.description});
  return fitting;
}

int print_completions(const std::vector<std::string>& words) {
  Output output;
  std::string text;
  for (const auto& candidate : complete(words))
    text += clean(candidate.value) + "\t" + clean(candidate.description) + "\n";
  output.out(text);
  return kDone;
}

std::vector<Command> completion_commands() {
  return {{.path = "completion",
           .sentence = "Print what makes a shell complete geres's words: bash, zsh or fish",
           .usage = {"{bash | zsh | fish}"},
           .examples = {"geres completion bash > ~/.local/share/bash-completion/completions/geres",
                        "geres completion zsh > ~/.zfunc/_geres",
                        "geres completion fish > ~/.config/fish/completions/geres.fish"},
           .run = print_adaptor,
           .group = Group::hidden,  // the last line of the help has it
           .arguments_min = 1,
           .arguments_max = 1,
           .live = Live::shells,
           .remote = false}};
}

}  // namespace geres::cli
