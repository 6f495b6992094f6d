// SPDX-License-Identifier: Apache-2.0
// From words to an exit code: finds the command, runs it, and in one place shows whatever ended it.
#include "cli/run.h"

#include <signal.h>

#include <exception>

#include "cli/completion.h"
#include "cli/context.h"
#include "cli/help.h"
#include "cli/text.h"

namespace geres::cli {
namespace {

void show(Output& output, const Trouble& trouble) {
  if (output.look.json) {
    try {
      return output.json(trouble_json(trouble));
    } catch (...) {
      // Standard error is full or closed, which may be the reason for the trouble. Try the other stream.
    }
  }
  if (trouble.exit == kInterrupted) {
    try {
      return output.talk(trouble.why.empty() ? trouble.error : trouble.why + "      " + trouble.next);
    } catch (const std::exception&) {
      // Nobody can be told.
    }
  }
  if (trouble.exit != kInterrupted)
    std::fputs(trouble_text(trouble, output.look.err_colour, output.look.err_terminal ? terminal_width(2) : 0).c_str(),
               stderr);
}

bool wants_json(const std::vector<std::string>& args) {
  for (std::size_t i = 0; i < args.size() && args[i] != "--"; ++i)
    if (args[i] == "--output=json" || (args[i] == "--output" && i + 1 < args.size() && args[i + 1] == "json"))
      return true;
  return false;
}

int run_words(const std::vector<std::string>& args, Output& output, const Services& services) {
  const Words words = parse_words(args);
  if (words.wants_version()) {
    output.line("geres " GERES_VERSION);
    return kDone;
  }
  if (words.command == nullptr || words.has("help")) {
    output.out(words.command == nullptr ? top_help(output.look.out_colour)
                                        : command_help(*words.command, output.look.out_colour));
    return words.command != nullptr || words.has("help") ? kDone : kUsage;
  }
  Context context(words, output, services);
  output.look.json = context.value_or("output", "table") == "json";
  output.look.quiet = words.has("quiet");
  if (const auto fields = words.value("fields")) output.look.fields = split(*fields, ',');
  return words.command->run(context);
}

}  // namespace

int run(const std::vector<std::string>& args, const Services& services) {
  ::signal(SIGPIPE, SIG_IGN);
  Output output;
  output.look = look_around();
  output.look.json = wants_json(args);
  try {
    if (!args.empty() && args[0] == "__complete") return print_completions({args.begin() + 1, args.end()});
    return run_words(args, output, services);
  } catch (const Trouble& trouble) {
    show(output, trouble);
    // As a shell reports a program that a signal has ended: 143 after SIGTERM.
    return trouble.exit == kInterrupted && interrupt_signal() != 0 ? 128 + interrupt_signal() : trouble.exit;
  } catch (const std::exception& error) {
    show(output, Trouble{kFailed, error.what()});
    return kFailed;
  }
}

}  // namespace geres::cli
