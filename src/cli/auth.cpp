// SPDX-License-Identifier: Apache-2.0
// The commands under "geres auth": what the hub makes of an identity provider's token.
#include <iostream>
#include <iterator>

#include "cli/context.h"
#include "cli/job_words.h"

namespace geres::cli {
namespace {

std::string words_of(const json::value& list) {
  std::vector<std::string> words;
  for (const auto& word : items_of(list))
    if (word.is_string()) words.emplace_back(word.get_string());
  return joined(words, ",");
}

// From standard input, because all users of the machine can read a command line.
std::string token_of(Context& context) {
  const auto& given = context.words.arguments;
  if (!given.empty() && given[0] != "-") return given[0];
  std::string token(std::istreambuf_iterator<char>(std::cin), {});
  const auto start = token.find_first_not_of(" \t\r\n"), end = token.find_last_not_of(" \t\r\n");
  if (start == std::string::npos)
    usage_error("there is no token", "standard input is empty", "a token and its end: geres auth test, then Ctrl-D",
                "<token>");
  return token.substr(start, end - start + 1);
}

void show_steps(Context& context, const json::value& tested) {
  Table table({{"CLAIM"}, {"VALUE", false, true}, {"GAVE"}, {"RULE", false, false, 1}});
  std::size_t steps = 0;
  for (const auto& step : items_of(member_of(tested, "because"))) {
    const auto gave = text_of(step, "gave");
    table.add({text_of(step, "claim"), text_of(step, "value"), gave.empty() ? Cell("nothing", "", Colour::grey) : gave,
               text_of(step, "rule")});
    ++steps;
  }
  if (steps > 0) context.output.out(table.text(context.output.look, terminal_width(1)));
}

int test(Context& context) {
  const auto tested =
      context.ask(context.hub().post_again("/v1/auth/test", json::object{{"token", token_of(context)}}));
  auto& output = context.output;
  const bool good = text_of(tested, "outcome") == "good";
  if (output.look.json) {
    output.json(tested);
    return good ? kDone : kFailed;
  }
  if (!good) {
    const auto problem = member_of(tested, "problem");
    output.line("refused (" + text_of(problem, "code") + "): " + clean(text_of(problem, "detail")));
    output.hint(clean(text_of(problem, "hint")));
    show_steps(context, tested);
    return kFailed;
  }
  const auto tenants = words_of(member_of(tested, "tenants"));
  output.line(clean(text_of(tested, "name")) + ", " + text_of(tested, "kind") + ": " +
              words_of(member_of(tested, "roles")) + " of " + (tenants.empty() ? "all tenants" : tenants) + ", until " +
              text_of(tested, "expires"));
  output.line("subject " + clean(text_of(tested, "subject")) + ", client " + clean(text_of(tested, "client")));
  show_steps(context, tested);
  return kDone;
}

}  // namespace

std::vector<Command> auth_commands() {
  return {
      {.path = "auth",
       .sentence = "Identity providers: what the hub makes of their tokens",
       .examples = {"geres auth test"}},
      {.path = "auth test",
       .sentence = "Whether the hub takes a token, and what gives it which rights (without one: standard input's)",
       .usage = {"[<token>]"},
       .examples = {"geres auth test", "geres auth test eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.e30.AA"},
       .run = test,
       .arguments_max = 1},
  };
}

}  // namespace geres::cli
