// SPDX-License-Identifier: Apache-2.0
// The commands under "geres batch".
#include "cli/context.h"
#include "cli/job_filter.h"
#include "cli/job_words.h"
#include "cli/progress_view.h"
#include "cli/web.h"

namespace geres::cli {
namespace {

client::Query of_tenant(Context& context) {
  client::Query query;
  if (const auto tenant = context.tenant_if()) query.emplace_back("tenant", *tenant);
  return query;
}

std::string path_of(Context& context) {
  return "/v1/batches/" + client::escaped(context.words.arguments[0]);
}

Scene counts_of(const json::value& batch) {
  Scene scene;
  const auto& counts = member_of(batch, "counts");
  if (counts.is_object())
    for (const auto& [state, n] : counts.get_object())
      if (n.is_int64()) scene.counts[std::string(state)] = n.get_int64();
  return scene;
}

std::string batch_state(const json::value& batch) {
  const auto state = text_of(batch, "state");
  return state == "open" && client::flag_of(batch, "paused") ? "paused" : state;
}

int create(Context& context) {
  json::object body;
  body["name"] = context.words.arguments[0];
  if (const auto tenant = context.tenant_if()) body["tenant"] = *tenant;
  if (const auto priority = context.integer("priority")) body["priority"] = *priority;
  if (const auto running = context.integer("max-running")) body["maxRunning"] = *running;
  if (context.has("dedicated")) body["dedicated"] = true;
  auto& output = context.output;
  const auto batch = context.ask(context.hub().post("/v1/batches", body));
  if (output.look.json)
    context.show_json(batch, "Batch");
  else if (output.look.out_terminal && !output.look.quiet)
    output.line("batch " + output.bold(clean(text_of(batch, "name"))) + " created      " +
                output.grey("geres submit --tenant " +
                            (text_of(batch, "tenant").empty() ? "T" : text_of(batch, "tenant")) + " --batch " +
                            text_of(batch, "name") + " ..."));
  else
    output.line(text_of(batch, "id"));
  return kDone;
}

int list(Context& context) {
  if (context.has("web")) return show_in_browser(context, "batches");
  auto query = of_tenant(context);
  if (const auto state = context.value("state")) query.emplace_back("state", *state);
  json::array batches;
  context.ask(context.hub().list("/v1/batches", query, [&](const json::value& batch) {
    batches.push_back(batch);
    return true;
  }));
  auto& output = context.output;
  if (output.look.json) {
    context.show_json(json::object{{"items", batches}}, "Batch");
    return kDone;
  }
  if (batches.empty()) output.hint("no batches");
  if (context.show_fields(batches, "Batch") || batches.empty()) return kDone;
  Table table({{"NAME", false, true},
               {"TENANT", false, true, 3},
               {"STATE"},
               {"PRIORITY", true, false, 2},
               {"DONE", true},
               {"JOBS", true},
               {"RUNNING", true},
               {"FAILED", true},
               {"CREATED", false, false, 1}});
  for (const auto& batch : batches) {
    const auto scene = counts_of(batch);
    const auto created = time_of(batch, "createdAt");
    const auto state = batch_state(batch);
    table.add({text_of(batch, "name"),
               text_of(batch, "tenant"),
               {state, state == "open" ? Colour::none : Colour::yellow},
               std::to_string(number_of(batch, "priority")),
               std::to_string(scene.ended()),
               std::to_string(scene.total()),
               std::to_string(scene.count("running") + scene.count("leased")),
               {std::to_string(scene.count("failed")), scene.count("failed") > 0 ? Colour::red : Colour::none},
               created ? Cell(ago(*created, context.now()), text_of(batch, "createdAt"), Colour::grey) : Cell("")});
  }
  output.out(table.text(output.look, terminal_width(1)));
  return kDone;
}

void show_batch(Context& context, const json::value& batch) {
  auto& output = context.output;
  const auto scene = counts_of(batch);
  std::string head = "batch " + output.bold(clean(text_of(batch, "name"))) + "   " + batch_state(batch);
  if (!text_of(batch, "tenant").empty()) head += "   tenant " + clean(text_of(batch, "tenant"));
  head += "   priority " + std::to_string(number_of(batch, "priority"));
  if (client::flag_of(batch, "overTenants")) head += " over all tenants";
  if (client::flag_of(batch, "dedicated")) head += "   dedicated";
  if (const auto most = number_of(batch, "maxRunning"); most > 0)
    head += "   at most " + std::to_string(most) + " running";
  output.prose("", head, 4);
  if (scene.total() == 0) {
    output.line("  no jobs yet");
    return;
  }
  output.prose("  ",
               (output.look.out_terminal ? bar(scene, 30, output.look.out_colour) + "  " : "") +
                   std::to_string(scene.ended()) + "/" + std::to_string(scene.total()) + "   " +
                   counts_words(scene, output.look.out_colour),
               2);
  const auto name = shell_quoted(text_of(batch, "name"));
  if (scene.count("failed") > 0) output.hint("  geres job list --batch " + name + " --state failed");
  if (scene.ended() < scene.total()) output.hint("  geres watch --batch " + name);
}

int show(Context& context) {
  const auto batch = context.ask(context.hub().get(path_of(context), of_tenant(context)));
  if (context.has("web")) return show_in_browser(context, "batches/" + client::escaped(text_of(batch, "id")));
  if (context.output.look.json)
    context.show_json(batch, "Batch");
  else if (!context.show_fields(batch, "Batch"))
    show_batch(context, batch);
  return kDone;
}

int change(Context& context, const std::string& verb, const std::string& done) {
  const auto batch =
      context.ask(context.hub().post_again(path_of(context) + "/" + verb, json::object(), of_tenant(context)));
  if (context.output.look.json)
    context.show_json(batch, "Batch");
  else
    context.output.talk("batch " + clean(context.words.arguments[0]) + " " + done);
  return kDone;
}

int remove(Context& context) {
  const auto answer = context.ask(context.hub().remove(path_of(context), of_tenant(context)));
  const auto jobs = number_of(answer, "deleted");
  if (context.output.look.json)
    context.output.json(answer);
  else
    context.output.talk("deleted batch " + clean(context.words.arguments[0]) + " with " + std::to_string(jobs) +
                        (jobs == 1 ? " job" : " jobs"));
  return kDone;
}

Command change_command(const std::string& verb, const std::string& sentence, const std::string& done) {
  return {.path = "batch " + verb,
          .sentence = sentence,
          .usage = {"<batch>"},
          .examples = {"geres batch " + verb + " photos"},
          .flags = {tenant_flag()},
          .run = [verb, done](Context& context) { return change(context, verb, done); },
          .arguments_min = 1,
          .arguments_max = 1,
          .live = Live::batches};
}

}  // namespace

std::vector<Command> batch_commands() {
  return {
      {.path = "batch",
       .sentence = "Group jobs: priority, limits, one progress bar",
       .examples = {"geres batch create photos --tenant demo", "geres batch list"},
       .group = Group::everyday},
      {.path = "batch create",
       .sentence = "Make a batch",
       .usage = {"<name> [--tenant <tenant>] [--priority <n>] [--max-running <n>] [--dedicated]"},
       .examples = {"geres batch create photos --tenant demo",
                    "geres batch create urgent --tenant demo --priority 200 --max-running 4"},
       .flags =
           {tenant_flag(),
            {.name = "priority",
             .value = "N",
             .help = "lower first, within the tenant; an operator's batch: over all tenants (default 500)",
             .kind = Kind::integer},
            {.name = "max-running", .value = "N", .help = "at most so many of its jobs at once", .kind = Kind::integer},
            {.name = "dedicated", .help = "a host that runs it runs nothing else meanwhile"}},
       .run = create,
       .arguments_min = 1,
       .arguments_max = 1},
      {.path = "batch list",
       .sentence = "List batches with what has become of their jobs",
       .usage = {"[--tenant <tenant>] [--state <state>]"},
       .examples = {"geres batch list", "geres batch list --state open --output json"},
       .flags = {tenant_flag(),
                 {.name = "state",
                  .value = "S",
                  .help = "in this state",
                  .kind = Kind::choice,
                  .choices = {"open", "closed", "cancelled"}}},
       .run = list},
      {.path = "batch show",
       .sentence = "Show one batch",
       .usage = {"<batch>"},
       .examples = {"geres batch show photos"},
       .flags = {tenant_flag(), web_flag()},
       .run = show,
       .arguments_min = 1,
       .arguments_max = 1,
       .live = Live::batches},
      change_command("close", "Take no more jobs; queued ones still run", "closed: no new jobs, queued ones still run"),
      change_command("cancel", "Close a batch and cancel all its jobs", "cancelled with all its jobs"),
      change_command("pause", "Start nothing of a batch until it is resumed", "paused: nothing of it starts"),
      change_command("resume", "Start jobs of a paused batch again", "resumed"),
      {.path = "batch delete",
       .sentence = "Delete a closed or cancelled batch with its jobs, once they have ended",
       .usage = {"<batch>"},
       .examples = {"geres batch delete photos"},
       .flags = {tenant_flag()},
       .run = remove,
       .arguments_min = 1,
       .arguments_max = 1,
       .live = Live::batches},
  };
}

}  // namespace geres::cli
