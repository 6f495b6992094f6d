// SPDX-License-Identifier: Apache-2.0
// The commands under "geres token". The secret of a new token is printed once, to standard output, and nowhere else.
#include <algorithm>

#include "cli/context.h"
#include "cli/job_words.h"
#include "cli/named.h"

namespace geres::cli {
namespace {

std::string words_of(const json::value& list) {
  std::vector<std::string> words;
  for (const auto& word : items_of(list))
    if (word.is_string()) words.emplace_back(word.get_string());
  return joined(words, ",");
}

// Any number of hosts may join with it, where an invitation is for so many.
bool registers_hosts(const json::value& token) {
  const auto& roles = items_of(member_of(token, "roles"));
  return std::any_of(roles.begin(), roles.end(), [](const auto& role) { return role == "host"; });
}

int create(Context& context) {
  json::object body;
  body["name"] = context.words.arguments[0];
  json::array roles, tenants;
  for (const auto& given : context.values("role"))
    for (const auto& role : split(given, ',')) roles.emplace_back(role);
  for (const auto& given : context.values("tenant"))
    for (const auto& tenant : split(given, ',')) tenants.emplace_back(tenant);
  if (roles.empty())
    usage_error("a token without a role may do nothing", "the roles are admin, operator, submitter, viewer, host",
                "--role submitter", "--role");
  body["roles"] = roles;
  if (!tenants.empty()) body["tenants"] = tenants;
  if (const auto expires = context.value("expires")) body["expires"] = *expires;
  const auto token = context.ask(context.hub().post("/v1/tokens", body));
  auto& output = context.output;
  if (output.look.json) {
    output.json(token);
    return kDone;
  }
  output.line(text_of(token, "token"));
  output.hint("token " + clean(context.words.arguments[0]) + " (" + words_of(roles) + "; " +
              (tenants.empty() ? "all tenants" : words_of(tenants)) +
              "). It is shown this once only; use it as GERES_TOKEN.");
  return kDone;
}

int list(Context& context) {
  json::array tokens;
  context.ask(context.hub().list("/v1/tokens", {}, [&](const json::value& token) {
    tokens.push_back(token);
    return true;
  }));
  auto& output = context.output;
  if (output.look.json) {
    context.show_json(json::object{{"items", tokens}}, "Token");
    return kDone;
  }
  if (context.show_fields(tokens, "Token") || tokens.empty()) return kDone;
  Table table({{"NAME", false, true},
               {"ROLES"},
               {"TENANTS", false, true},
               {"USE", false, false, 3},
               {"EXPIRES", false, false, 1},
               {"CREATED", false, false, 2},
               {"ID"}});
  for (const auto& token : tokens) {
    const auto expires = time_of(token, "expires"), created = time_of(token, "createdAt");
    const auto tenants = words_of(member_of(token, "tenants"));
    table.add({text_of(token, "name"), words_of(member_of(token, "roles")), tenants.empty() ? "all" : tenants,
               registers_hosts(token) ? Cell("reusable", Colour::yellow) : Cell(""),
               expires ? Cell(ago(*expires, context.now()), text_of(token, "expires")) : Cell("never"),
               created ? Cell(ago(*created, context.now()), text_of(token, "createdAt"), Colour::grey) : Cell(""),
               id_cell(text_of(token, "id"))});
  }
  output.out(table.text(output.look, terminal_width(1)));
  return kDone;
}

int remove(Context& context) {
  const auto id = resolve_named(context, "/v1/tokens", "token", context.words.arguments[0]);
  context.ask(context.hub().remove("/v1/tokens/" + client::escaped(id)));
  if (context.output.look.json)
    context.output.json(json::object());
  else
    context.output.talk("deleted: it is refused from now on");
  return kDone;
}

}  // namespace

std::vector<Command> token_commands() {
  return {
      {.path = "token",
       .sentence = "Make and withdraw tokens: who may do what, for which tenants",
       .examples = {"geres token create ci --role submitter --tenant demo", "geres token list"},
       .group = Group::admin},
      {.path = "token create",
       .sentence = "Make a token; it is printed this once only",
       .usage = {"<name> --role <role>[,<role>...] [--tenant <tenant>...] [--expires <when>]"},
       .examples = {"geres token create ci --role submitter --tenant demo --expires 90d",
                    "geres token create rack7 --role host"},
       .flags = {{.name = "role",
                  .value = "R",
                  .help = "what it may do",
                  .kind = Kind::choice,
                  .choices = {"admin", "operator", "submitter", "viewer", "host"},
                  .many = true},
                 {.name = "tenant",
                  .value = "T",
                  .help = "for this tenant only (default: all)",
                  .many = true,
                  .live = Live::tenants},
                 {.name = "expires", .value = "WHEN", .help = "90d (from now), or a day or time", .kind = Kind::time}},
       .run = create,
       .arguments_min = 1,
       .arguments_max = 1},
      {.path = "token list",
       .sentence = "List tokens, without their secrets",
       .usage = {""},
       .examples = {"geres token list"},
       .run = list},
      {.path = "token delete",
       .sentence = "Withdraw a token",
       .usage = {"<token>"},
       .examples = {"geres token delete ci"},
       .run = remove,
       .arguments_min = 1,
       .arguments_max = 1,
       .live = Live::tokens},
  };
}

}  // namespace geres::cli
