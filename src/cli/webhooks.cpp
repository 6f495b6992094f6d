// SPDX-License-Identifier: Apache-2.0
// The commands under "geres webhook". The secret of a new webhook is printed once, to standard output, and nowhere
// else.
#include "cli/context.h"
#include "cli/job_words.h"
#include "cli/named.h"

namespace geres::cli {
namespace {

std::string path_of(Context& context, const std::string& rest = {}) {
  const auto id = resolve_named(context, "/v1/webhooks", "webhook", context.words.arguments[0]);
  return "/v1/webhooks/" + client::escaped(id) + rest;
}

json::array words_of(Context& context, const char* flag) {
  json::array words;
  for (const auto& given : context.values(flag))
    for (const auto& word : split(given, ',')) words.emplace_back(word);
  return words;
}

int create(Context& context) {
  json::object body;
  const auto& words = context.words.arguments;
  const bool for_jobs = context.has("for-jobs");
  if (words.empty() != for_jobs)
    usage_error(for_jobs ? "--for-jobs takes no address: jobs bring their own" : "a webhook needs an address to call",
                {}, "geres webhook create https://example.com/hook, or --for-jobs");
  if (for_jobs)
    body["forJobs"] = true;
  else
    body["url"] = words[0];
  if (const auto tenant = context.value("tenant")) body["tenant"] = *tenant;
  if (const auto name = context.value("name")) body["name"] = *name;
  if (auto types = words_of(context, "type"); !types.empty()) body["types"] = std::move(types);
  if (auto batches = words_of(context, "batch"); !batches.empty()) body["batches"] = std::move(batches);
  if (auto types = words_of(context, "job-type"); !types.empty()) body["jobTypes"] = std::move(types);
  json::object tags;
  for (const auto& tag : context.values("tag")) {
    const auto equals = tag.find('=');
    tags[tag.substr(0, equals)] = tag.substr(equals + 1);
  }
  if (!tags.empty()) body["tags"] = std::move(tags);
  const auto webhook = context.ask(context.hub().post("/v1/webhooks", body));
  auto& output = context.output;
  if (output.look.json) {
    output.json(webhook);
    return kDone;
  }
  output.line(text_of(webhook, "id") + " " + text_of(webhook, "secret"));
  output.hint("the webhook's id, and the secret with which it is signed. That is shown this once only.");
  return kDone;
}

int list(Context& context) {
  json::array webhooks;
  client::Query query;
  if (const auto tenant = context.value("tenant")) query.emplace_back("tenant", *tenant);
  context.ask(context.hub().list("/v1/webhooks", query, [&](const json::value& webhook) {
    webhooks.push_back(webhook);
    return true;
  }));
  auto& output = context.output;
  if (output.look.json) {
    context.show_json(json::object{{"items", webhooks}}, "Webhook");
    return kDone;
  }
  if (context.show_fields(webhooks, "Webhook") || webhooks.empty()) return kDone;
  Table table({{"NAME", false, true}, {"TENANT"}, {"STATE"}, {"URL", false, true}, {"ID"}});
  for (const auto& webhook : webhooks)
    table.add({text_of(webhook, "name"), text_of(webhook, "tenant"),
               client::flag_of(webhook, "enabled") ? "enabled" : "disabled",
               client::flag_of(webhook, "forJobs") ? "(jobs' own)" : text_of(webhook, "url"),
               id_cell(text_of(webhook, "id"))});
  output.out(table.text(output.look, terminal_width(1)));
  return kDone;
}

std::string line_of(const json::value& v) {
  if (v.is_string()) return std::string(v.get_string());
  std::vector<std::string> words;
  if (v.is_object()) {
    for (const auto& [name, value] : v.get_object()) words.push_back(std::string(name) + "=" + line_of(value));
    return joined(words, ",");
  }
  if (!v.is_array()) return boost::json::serialize(v);
  for (const auto& word : v.get_array())
    if (word.is_string()) words.emplace_back(word.get_string());
  return joined(words, ",");
}

int show(Context& context) {
  const auto webhook = context.ask(context.hub().get(path_of(context)));
  auto& output = context.output;
  if (output.look.json) {
    context.show_json(webhook, "Webhook");
    return kDone;
  }
  if (!webhook.is_object()) return kDone;
  for (const auto& [name, value] : webhook.get_object()) {
    std::string label(name);
    label.resize(std::max<std::size_t>(label.size(), 10), ' ');
    output.line(label + "  " + clean(line_of(value)));
  }
  return kDone;
}

int test(Context& context) {
  const auto tested = context.ask(context.hub().post_again(path_of(context, "/test"), json::object()));
  auto& output = context.output;
  const bool delivered = client::flag_of(tested, "delivered");
  if (output.look.json) {
    output.json(tested);
  } else if (delivered) {
    output.line("delivered: answered " + std::to_string(number_of(tested, "status")) + " in " +
                text_of(tested, "took"));
  } else {
    throw Trouble{kFailed, "the ping did not arrive", clean(text_of(tested, "error")),
                  "geres webhook show " + context.words.arguments[0]};
  }
  return delivered ? kDone : kFailed;
}

int deliveries(Context& context) {
  json::array items;
  const auto state = context.value_or("state", "dead");
  context.ask(context.hub().list(path_of(context, "/deliveries"), {{"state", state}}, [&](const json::value& item) {
    items.push_back(item);
    return true;
  }));
  auto& output = context.output;
  if (output.look.json) {
    context.show_json(json::object{{"items", items}}, "Delivery");
    return kDone;
  }
  if (context.show_fields(items, "Delivery") || items.empty()) return kDone;
  Table table({{"EVENT"}, {"TYPE"}, {"SUBJECT"}, {"ATTEMPTS", true}, {"SINCE"}, {"ERROR", false, true}});
  for (const auto& item : items) {
    const auto at = time_of(item, "at");
    table.add({text_of(item, "id"), text_of(item, "type"), text_of(item, "subject"),
               std::to_string(number_of(item, "attempts")),
               at ? Cell(ago(*at, context.now()), text_of(item, "at")) : Cell(""), clean(text_of(item, "error"))});
  }
  output.out(table.text(output.look, terminal_width(1)));
  return kDone;
}

int replay(Context& context) {
  json::object body;
  if (const auto from = context.value("from")) body["from"] = *from;
  json::array ids;
  for (std::size_t i = 1; i < context.words.arguments.size(); ++i) ids.emplace_back(context.words.arguments[i]);
  if (!ids.empty()) body["ids"] = std::move(ids);
  const auto done = context.ask(context.hub().post(path_of(context, "/replay"), body));
  if (context.output.look.json)
    context.output.json(done);
  else
    context.output.talk(std::to_string(number_of(done, "replayed")) +
                        (body.contains("from") ? " events are looked at again" : " dead letters are told again"));
  return kDone;
}

int rotate(Context& context) {
  const auto webhook = context.ask(context.hub().patch(path_of(context), json::object{{"secret", nullptr}}));
  if (context.output.look.json) {
    context.output.json(webhook);
    return kDone;
  }
  context.output.line(text_of(webhook, "secret"));
  context.output.hint("the new secret; the one before signs beside it for a day.");
  return kDone;
}

int set_enabled(Context& context, bool enabled) {
  const auto webhook = context.ask(context.hub().patch(path_of(context), json::object{{"enabled", enabled}}));
  if (context.output.look.json)
    context.output.json(webhook);
  else
    context.output.talk(enabled ? "enabled: it reads on where it was" : "disabled: it reads on when it is enabled");
  return kDone;
}

int remove(Context& context) {
  context.ask(context.hub().remove(path_of(context)));
  if (context.output.look.json)
    context.output.json(json::object());
  else
    context.output.talk("deleted: it is not called any more");
  return kDone;
}

Command verb(const std::string& name, const std::string& sentence, const std::string& usage, const std::string& example,
             std::function<int(Context&)> run) {
  return {.path = "webhook " + name,
          .sentence = sentence,
          .usage = {usage},
          .examples = {"geres webhook " + name + " " + example},
          .run = std::move(run),
          .arguments_min = 1,
          .arguments_max = 1,
          .live = Live::webhooks};
}

}  // namespace

std::vector<Command> webhook_commands() {
  auto list_deliveries = verb("deliveries", "List what a webhook was told in vain",
                              "<webhook> [--state {dead | pending}]", "ci --state pending", deliveries);
  list_deliveries.flags = {{.name = "state",
                            .value = "S",
                            .help = "dead letters (the default), or what is tried again",
                            .kind = Kind::choice,
                            .choices = {"dead", "pending"}}};
  auto tell_again = verb("replay", "Tell a webhook's dead letters again, or the log from an event on",
                         "<webhook> [<event>...] [--from <event>]", "ci --from start", replay);
  tell_again.flags = {
      {.name = "from", .value = "EVENT", .help = "an event's id, or start: read the log again from it on"}};
  tell_again.arguments_max = 1'000;
  return {
      {.path = "webhook",
       .sentence = "Have an address called when something happens",
       .examples = {"geres webhook create https://example.com/hook --tenant demo --type geres.job.failed",
                    "geres webhook test ci"},
       .group = Group::admin},
      {.path = "webhook create",
       .sentence = "Make a webhook; its secret is printed this once only",
       .usage =
           {"<url> [--type <event>...] [--batch <batch>...] [--job-type <type>...] [--tag <tag>...] [--name <name>] "
            "[--tenant <tenant>]",
            "--for-jobs [--tenant <tenant>]"},
       .examples = {"geres webhook create https://example.com/hook --tenant demo --type geres.job.failed --name ci",
                    "geres webhook create https://example.com/hook --tenant demo --job-type Invoice --tag customer=7",
                    "geres webhook create --for-jobs --tenant demo"},
       .flags =
           {{.name = "type", .value = "T", .help = "only these events: geres.job.failed, geres.job.*", .many = true},
            {.name = "batch", .value = "B", .help = "only of this batch", .many = true, .live = Live::batches},
            {.name = "job-type", .value = "T", .help = "only of jobs of this type", .many = true, .live = Live::types},
            {.name = "tag", .value = "K=V", .help = "only of jobs with this tag", .kind = Kind::pair, .many = true},
            {.name = "name", .value = "N", .help = "to call it by"},
            {.name = "tenant",
             .value = "T",
             .help = "whose events",
             .environment = "GERES_TENANT",
             .live = Live::tenants},
            {.name = "for-jobs", .value = "", .help = "the secret for what jobs' own webhooks are told"}},
       .run = create,
       .arguments_max = 1},
      {.path = "webhook list",
       .sentence = "List webhooks, without their secrets",
       .usage = {"[--tenant <tenant>]"},
       .examples = {"geres webhook list"},
       .flags = {{.name = "tenant",
                  .value = "T",
                  .help = "only of this tenant",
                  .environment = "GERES_TENANT",
                  .live = Live::tenants}},
       .run = list},
      verb("show", "Show a webhook", "<webhook>", "ci", show),
      verb("test", "Call a webhook now, with a ping", "<webhook>", "ci", test),
      std::move(list_deliveries),
      std::move(tell_again),
      verb("rotate", "Draw a new secret; the one before stays good for a day", "<webhook>", "ci", rotate),
      verb("disable", "Call a webhook no more for now", "<webhook>", "ci",
           [](Context& c) { return set_enabled(c, false); }),
      verb("enable", "Call a webhook again, from where it was", "<webhook>", "ci",
           [](Context& c) { return set_enabled(c, true); }),
      verb("delete", "Delete a webhook", "<webhook>", "ci", remove),
  };
}

}  // namespace geres::cli
