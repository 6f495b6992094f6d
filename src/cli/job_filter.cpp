// SPDX-License-Identifier: Apache-2.0
#include "cli/job_filter.h"

#include "cli/named.h"

namespace geres::cli {
namespace {

const std::vector<std::string> kStates = {"scheduled", "blocked",  "ready",  "leased",
                                          "running",   "finished", "failed", "cancelled"};

}  // namespace

Flag tenant_flag() {
  return {.name = "tenant", .value = "T", .help = "whose", .environment = "GERES_TENANT", .live = Live::tenants};
}

Flag reason_flag() {
  return {.name = "reason",
          .value = "R",
          .help = "failed for this reason",
          .kind = Kind::choice,
          .choices = {"error", "aborted", "maxAttempts", "timeout", "queueTimeout", "package", "type", "dependency",
                      "poison", "internal"}};
}

Flag batch_flag(std::string help) {
  return {.name = "batch", .value = "B", .help = std::move(help), .live = Live::batches};
}

std::vector<Flag> filter_flags() {
  return {
      tenant_flag(),
      batch_flag("of this batch (name or id)"),
      {.name = "state",
       .value = "S",
       .help = "in this state, or these: failed,cancelled",
       .kind = Kind::choice,
       .choices = kStates,
       .many = true},
      {.name = "type", .value = "X", .help = "of this type", .live = Live::types},
      {.name = "name", .value = "N", .help = "with this name"},
      {.name = "tag", .value = "K=V", .help = "with this tag", .kind = Kind::pair, .many = true},
      {.name = "host", .value = "H", .help = "last on this host", .live = Live::hosts},
      {.name = "since",
       .value = "WHEN",
       .help = "submitted after: 2h (ago), 18:00, yesterday",
       .kind = Kind::past_time},
      {.name = "before", .value = "WHEN", .help = "submitted before", .kind = Kind::past_time},
  };
}

client::Query filter_query(Context& context) {
  client::Query query;
  for (const char* name : {"tenant", "batch", "type", "name"})
    if (const auto value = context.value(name)) query.emplace_back(name, *value);
  if (const auto host = context.value("host")) query.emplace_back("host", host_name(context, *host));
  if (const auto reason = context.value("reason"); reason && context.words.command->path != "job cancel")
    query.emplace_back("reason", *reason);
  if (const auto states = context.values("state"); !states.empty()) query.emplace_back("state", joined(states, ","));
  for (const auto& tag : context.values("tag")) {
    const auto [name, value] = pair_of(tag);
    query.emplace_back("tag." + name, value);
  }
  if (const auto since = context.value("since")) query.emplace_back("submittedAfter", *since);
  if (const auto before = context.value("before")) query.emplace_back("submittedBefore", *before);
  return query;
}

json::object filter_body(Context& context) {
  json::object body, tags;
  for (const auto& [name, value] : filter_query(context)) {
    if (name.starts_with("tag."))
      tags[name.substr(4)] = value;
    else if (name == "state" && value.find(',') != std::string::npos) {
      json::array states;
      for (const auto& state : split(value, ',')) states.emplace_back(state);
      body["state"] = states;
    } else
      body[name] = value;
  }
  if (!tags.empty()) body["tags"] = tags;
  return body;
}

std::string filter_words(Context& context) {
  std::string text;
  for (const auto& flag : filter_flags())
    for (const auto& value : context.values(flag.name))
      text += (text.empty() ? "--" : " --") + flag.name + " " + shell_quoted(value);
  return text;
}

}  // namespace geres::cli
