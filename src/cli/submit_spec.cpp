// SPDX-License-Identifier: Apache-2.0
#include "cli/submit_spec.h"

#include <glob.h>

#include "base/bytes.h"
#include "base/file.h"
#include "cli/job_filter.h"

namespace geres::cli {
namespace {

namespace fs = std::filesystem;

void set_text(Context& context, json::object& spec, const char* flag, const char* member) {
  if (const auto value = context.value(flag)) spec[member] = *value;
}

void set_number(Context& context, json::object& spec, const char* flag, const char* member) {
  if (const auto value = context.integer(flag)) spec[member] = *value;
}

json::object map_of(const std::vector<std::string>& pairs) {
  json::object map;
  for (const auto& pair : pairs) {
    const auto [name, value] = pair_of(pair);
    map[name] = value;
  }
  return map;
}

json::value json_or_stop(const std::string& text, const std::string& flag) {
  auto parsed = json::parse(text);
  if (!parsed) usage_error(flag + " is not JSON", parsed.error().message, flag + " '{\"picture\": \"a.jpg\"}'", flag);
  return *parsed;
}

// "-" is standard input.
std::string text_of_file(const std::string& file, const std::string& flag) {
  try {
    return read_file(file == "-" ? "/dev/stdin" : file);
  } catch (const std::system_error& error) {
    cannot("the file '" + file + "' of " + flag + " cannot be read", error.code().message(), flag + " @FILE", flag);
  }
}

// --params, overridden by --param: "k=v" is a text, "k:=v" is JSON.
json::value parameters_of(Context& context, const json::object& extra) {
  json::value base = nullptr;
  if (const auto given = context.value("params")) {
    if (given->starts_with("@"))
      base = json_or_stop(text_of_file(given->substr(1), "--params"), "--params");
    else
      base = json_or_stop(*given, "--params");
  }
  const auto more = context.values("param");
  if (more.empty() && extra.empty()) return base;
  if (base.is_null()) base = json::object();
  if (!base.is_object())
    usage_error("--param needs --params to be an object", "it is " + std::string(json::kind_name(base)), {},
                "--params");
  for (const auto& [name, value] : extra) base.get_object()[name] = value;
  for (const auto& pair : more) {
    auto [name, value] = pair_of(pair);
    if (name.ends_with(':')) {
      name.pop_back();
      base.get_object()[name] = json_or_stop(value, "--param " + name + ":");
    } else {
      base.get_object()[name] = value;
    }
  }
  return base;
}

json::object common_spec(Context& context) {
  json::object spec;
  spec["tenant"] = context.tenant();
  set_text(context, spec, "type", "type");
  set_text(context, spec, "package", "package");
  set_text(context, spec, "name", "name");
  set_text(context, spec, "batch", "batch");
  set_number(context, spec, "priority", "priority");
  for (const auto& [flag, member] : {std::pair("delay", "delay"),
                                     {"not-before", "notBefore"},
                                     {"timeout", "timeout"},
                                     {"queue-timeout", "queueTimeout"},
                                     {"lease", "lease"},
                                     {"key", "key"}})
    set_text(context, spec, flag, member);
  set_number(context, spec, "max-attempts", "maxAttempts");
  json::object wanted;
  set_number(context, wanted, "slots", "slots");
  set_text(context, wanted, "memory", "memory");
  if (const auto labels = context.values("label"); !labels.empty()) wanted["labels"] = map_of(labels);
  if (!wanted.empty()) spec["requires"] = wanted;
  if (const auto tags = context.values("tag"); !tags.empty()) spec["tags"] = map_of(tags);
  return spec;
}

void check_file(const std::string& path, const std::string& flag) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return;
  const bool directory = fs::is_directory(path, error);
  cannot(flag + (directory ? " '" + path + "' is a directory" : ": there is no file '" + path + "'"), {},
         directory ? flag + " FILE, once for each file" : "", flag);
}

// Like check_file; also checks the name, which the job will see.
void check_named_file(const std::string& path, const std::string& flag) {
  if (!valid_utf8(path))
    cannot(flag + ": the name of the file '" + path + "' is not UTF-8", "a job's files have names in UTF-8",
           "--input NAME=FILE, with the name that the job is to see", flag);
  check_file(path, flag);
}

// "FILE", or "PLACE=FILE" to put it elsewhere in the working directory.
InputFile input_of(const std::string& text) {
  std::error_code error;
  if (!fs::exists(text, error) && text.find('=') != std::string::npos) {
    const auto [place, file] = pair_of(text);
    check_text(place, "--input");
    check_file(file, "--input");
    return {place, file};
  }
  check_named_file(text, "--input");
  return {fs::path(text).filename().string(), text};
}

// The files of --each-input: patterns, or names if the shell has already expanded them.
std::vector<std::string> each_files(Context& context) {
  std::vector<std::string> patterns = context.values("each-input");
  patterns.insert(patterns.end(), context.words.arguments.begin(), context.words.arguments.end());
  std::vector<std::string> files;
  for (const auto& pattern : patterns) {
    glob_t found{};
    const int result = ::glob(pattern.c_str(), GLOB_NOCHECK, nullptr, &found);
    for (std::size_t i = 0; result == 0 && i < found.gl_pathc; ++i) files.emplace_back(found.gl_pathv[i]);
    ::globfree(&found);
  }
  for (const auto& file : files) {
    if (file.find_first_of("*?[") != std::string::npos && !fs::exists(file))
      cannot("--each-input: no file is like '" + file + "'", {}, {}, "--each-input");
    check_named_file(file, "--each-input");
  }
  return files;
}

// Replaces {input} in texts by the file's name in the working directory.
bool put_input(json::value& v, const std::string& name) {
  bool done = false;
  if (v.is_object())
    for (auto& [key, member] : v.get_object()) done = put_input(member, name) || done;
  if (v.is_array())
    for (auto& item : v.get_array()) done = put_input(item, name) || done;
  if (!v.is_string()) return done;
  std::string text(v.get_string());
  for (std::size_t at = 0; (at = text.find("{input}", at)) != std::string::npos; at += name.size()) {
    text.replace(at, 7, name);
    done = true;
  }
  if (done) v = text;
  return done;
}

PlannedJob for_input(const PlannedJob& base, const std::string& file) {
  PlannedJob job = base;
  const std::string name = fs::path(file).filename().string();
  job.inputs.push_back({name, file});
  json::value parameters = job.spec.contains("parameters") ? job.spec["parameters"] : json::value(json::object());
  const bool used = put_input(parameters, name);
  if (!used && parameters.is_object()) parameters.get_object()["input"] = name;
  job.spec["parameters"] = parameters;
  json::value title = job.spec.contains("name") ? job.spec["name"] : json::value(name);
  put_input(title, name);
  job.spec["name"] = title;
  return job;
}

}  // namespace

std::vector<Flag> submit_flags() {
  return {
      tenant_flag(),
      {.name = "type", .value = "X", .help = "the job type", .live = Live::types},
      {.name = "package",
       .value = "P",
       .help = "the package that has it: NAME (its newest version) or NAME@SHA256",
       .live = Live::packages},
      {.name = "param",
       .value = "K=V",
       .help = "a parameter: K=text, or K:=JSON for anything else",
       .kind = Kind::pair,
       .many = true},
      {.name = "params", .value = "JSON", .help = "all parameters as JSON, @FILE, or @- for standard input"},
      {.name = "env",
       .value = "NAME[=V]",
       .help = "a variable for the command; NAME alone: as it is here",
       .many = true},
      {.name = "stdin", .help = "hand standard input on to the command"},
      {.name = "input",
       .value = "FILE",
       .help = "a file that lies in the working directory (or PLACE=FILE)",
       .many = true,
       .live = Live::files},
      {.name = "each-input",
       .value = "GLOB",
       .help = "one job for each file; {input} in parameters is its name",
       .many = true,
       .live = Live::files},
      batch_flag("the batch it belongs to"),
      {.name = "name", .value = "N", .help = "what people call it"},
      {.name = "count", .value = "N", .help = "so many of them", .kind = Kind::integer},
      {.name = "priority", .value = "N", .help = "lower first within the batch (default 0)", .kind = Kind::integer},
      {.name = "delay", .value = "TIME", .help = "start that much later", .kind = Kind::duration},
      {.name = "not-before",
       .value = "WHEN",
       .help = "not before then: 18:00, tomorrow, 2026-12-01",
       .kind = Kind::time},
      {.name = "timeout", .value = "TIME", .help = "stop an attempt that runs longer", .kind = Kind::duration},
      {.name = "queue-timeout", .value = "TIME", .help = "fail if it waits longer", .kind = Kind::duration},
      {.name = "max-attempts",
       .value = "N",
       .help = "failures before it is given up (default 5; 1 for a command)",
       .kind = Kind::integer},
      {.name = "lease", .value = "TIME", .help = "how long a silent host keeps it", .kind = Kind::duration},
      {.name = "slots", .value = "N", .help = "slots it takes on a host", .kind = Kind::integer},
      {.name = "memory", .value = "SIZE", .help = "memory it takes on a host", .kind = Kind::size},
      {.name = "label", .value = "K=V", .help = "only on hosts with this label", .kind = Kind::pair, .many = true},
      {.name = "tag", .value = "K=V", .help = "a mark to find it by", .kind = Kind::pair, .many = true},
      {.name = "key", .value = "KEY", .help = "the same key again is the same job"},
      {.name = "wait", .help = "see it through, and print its result"},
      {.name = "exit-status", .help = "with --wait: exit as the job did"},
      {.name = "progress",
       .value = "MODE",
       .help = "with --wait: how to show it",
       .kind = Kind::choice,
       .choices = {"auto", "tty", "plain", "json", "quiet"}},
  };
}

std::set<std::string> placeholders(Context& context) {
  std::set<std::string> names;
  if (context.has("each-input")) names.insert("input");
  for (const auto& pair : context.values("param")) {
    auto name = pair_of(pair).first;
    if (name.ends_with(':')) name.pop_back();
    names.insert(name);
  }
  return names;
}

std::vector<PlannedJob> plan_jobs(Context& context, const json::object& extra, const std::string& title) {
  PlannedJob base{common_spec(context), {}};
  const auto parameters = parameters_of(context, extra);
  if (!parameters.is_null()) base.spec["parameters"] = parameters;
  for (const auto& input : context.values("input")) base.inputs.push_back(input_of(input));
  const auto count = context.integer("count");
  if (count && *count < 1) usage_error("--count is at least 1", {}, "--count 10", "--count");
  const bool each = context.has("each-input");
  if (!each && !context.words.arguments.empty())
    usage_error("'" + context.words.arguments[0] + "' is one word too many",
                "files go with --input or --each-input, a command behind a lone --",
                "geres submit -- " + context.words.arguments[0], {});
  if (each && count) usage_error("--each-input and --count do not go together", {}, {}, "--count");
  std::vector<PlannedJob> jobs;
  if (each) {
    for (const auto& file : each_files(context)) jobs.push_back(for_input(base, file));
  } else {
    if (!title.empty() && !base.spec.contains("name")) base.spec["name"] = title;
    jobs.assign(std::size_t(count.value_or(1)), base);
  }
  if (jobs.size() > 1 && context.has("key"))
    usage_error("--key names one job, and these are " + std::to_string(jobs.size()), {}, {}, "--key");
  return jobs;
}

}  // namespace geres::cli
