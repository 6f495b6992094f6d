// SPDX-License-Identifier: Apache-2.0
// The commands under "geres package".
#include <algorithm>

#include "base/duration.h"
#include "base/file.h"
#include "cli/context.h"
#include "cli/job_filter.h"
#include "cli/job_words.h"
#include "package/archive.h"

namespace geres::cli {
namespace {

namespace fs = std::filesystem;

std::string types_of(const json::value& package) {
  std::vector<std::string> types;
  for (const auto& type : items_of(member_of(package, "types")))
    if (type.is_string()) types.emplace_back(type.get_string());
  if (client::flag_of(package, "open")) types.emplace_back("(more in its library)");
  return joined(types);
}

[[noreturn]] void stop_on(const Error& error, const std::string& what) {
  cannot(what + ": " + error.message, error.field.empty() ? "" : "at " + error.field, error.hint, error.field);
}

std::string default_name(const fs::path& path) {
  auto name = fs::weakly_canonical(path).filename().string();
  if (fs::path(name).extension() == ".zip") name = fs::path(name).stem().string();
  return name;
}

// The ZIP to send: a directory is packed here, a file must already be a package.
fs::path zip_of(Context& context, const fs::path& source, const fs::path& temporary) {
  std::error_code error;
  if (fs::is_directory(source, error)) {
    const auto zip = temporary / "package.zip";
    const auto packed = package::pack(source, zip);
    if (!packed) stop_on(packed.error(), "'" + source.string() + "' cannot be packed");
    std::vector<std::string> first(
        packed->files.begin(), packed->files.begin() + std::ptrdiff_t(std::min<std::size_t>(packed->files.size(), 4)));
    context.output.talk("packed " + plural(std::int64_t(packed->files.size()), "file") + ", " +
                        format_size(std::int64_t(packed->bytes)) + " (" + joined(first) +
                        (packed->files.size() > 4 ? ", …" : "") + ")");
    return zip;
  }
  if (!fs::is_regular_file(source, error))
    cannot("there is no file or directory '" + source.string() + "'", {}, "geres package push TENANT DIR");
  return source;
}

int push(Context& context) {
  const auto& tenant = context.words.arguments[0];
  const fs::path source = context.words.arguments[1];
  const TemporaryDirectory temporary;
  const auto zip = zip_of(context, source, temporary.path());
  // Checked here first, so that a mistake is reported without sending the package.
  const auto contents = package::inspect(zip);
  if (!contents) stop_on(contents.error(), "'" + source.string() + "' is not a good package");
  const auto name = context.value_or("name", default_name(source));
  const auto pushed = context.ask(context.hub().upload(
      "/v1/packages/" + client::escaped(tenant) + "/" + client::escaped(name), zip, "application/zip"));
  auto& output = context.output;
  if (output.look.json) {
    context.show_json(pushed, "Package");
    return kDone;
  }
  const auto sha256 = text_of(pushed, "sha256");
  auto types = types_of(pushed);
  if (types.empty()) types = joined(contents->types);
  if (!output.look.out_terminal || output.look.quiet) {
    output.line(name + "@" + sha256);
    return kDone;
  }
  output.line("pushed " + output.bold(clean(tenant + "/" + name)) + "   version " +
              std::to_string(number_of(pushed, "version")) + "   sha256 " + sha256.substr(0, 8) + "…   " +
              (types.empty() ? "types in its library"
                             : (types.find(',') == std::string::npos ? "type " : "types ") + clean(types)));
  if (!contents->types.empty())
    output.hint("geres submit --tenant " + tenant + " --package " + name + " --type " + contents->types.front() +
                " --wait");
  return kDone;
}

int list(Context& context) {
  client::Query query;
  if (const auto tenant = context.tenant_if()) query.emplace_back("tenant", *tenant);
  if (const auto name = context.value("name")) query.emplace_back("name", *name);
  json::array packages;
  context.ask(context.hub().list("/v1/packages", query, [&](const json::value& package) {
    // Packages made by "submit -- COMMAND" are many, and their names mean nothing to people.
    if (!context.has("all") && !context.has("name") && text_of(package, "name").starts_with("cmd-")) return true;
    packages.push_back(package);
    return true;
  }));
  auto& output = context.output;
  if (output.look.json) {
    context.show_json(json::object{{"items", packages}}, "Package");
    return kDone;
  }
  if (packages.empty()) output.hint("no packages      geres package push TENANT DIR");
  if (context.show_fields(packages, "Package") || packages.empty()) return kDone;
  Table table({{"TENANT", false, true, 3},
               {"NAME", false, true},
               {"VERSION", true},
               {"SHA256"},
               {"SIZE", true},
               {"TYPES", false, true},
               {"PUSHED", false, false, 1}});
  for (const auto& package : packages) {
    const auto sha256 = text_of(package, "sha256");
    const auto created = time_of(package, "createdAt");
    table.add({text_of(package, "tenant"),
               text_of(package, "name"),
               std::to_string(number_of(package, "version")),
               {sha256.substr(0, 8) + "…", sha256},
               {format_size(number_of(package, "size")), std::to_string(number_of(package, "size"))},
               types_of(package),
               created ? Cell(ago(*created, context.now()), text_of(package, "createdAt"), Colour::grey) : Cell("")});
  }
  output.out(table.text(output.look, terminal_width(1)));
  return kDone;
}

int remove(Context& context) {
  const auto& [tenant, name] = std::pair(context.words.arguments[0], context.words.arguments[1]);
  client::Query query;
  if (const auto version = context.integer("version")) query.emplace_back("version", std::to_string(*version));
  const auto answer =
      context.ask(context.hub().remove("/v1/packages/" + client::escaped(tenant) + "/" + client::escaped(name), query));
  if (context.output.look.json)
    context.output.json(answer.is_null() ? json::value(json::object()) : answer);
  else
    context.output.talk("deleted " + clean(tenant + "/" + name) + (query.empty() ? "" : " version " + query[0].second));
  return kDone;
}

int sync(Context& context) {
  const auto answer = context.ask(context.hub().post_again("/v1/packages/sync", json::object()));
  if (context.output.look.json) {
    context.show_json(answer, "SyncedPackages");
    return kDone;
  }
  auto& output = context.output;
  const auto named = [](const json::value& version) {
    return clean(text_of(version, "tenant") + "/" + text_of(version, "name")) + " version " +
           std::to_string(number_of(version, "version"));
  };
  for (const auto& version : items_of(member_of(answer, "taken"))) output.line("taken    " + named(version));
  for (const auto& version : items_of(member_of(answer, "given"))) output.line("given    " + named(version));
  for (const auto& one : items_of(member_of(answer, "refused")))
    output.line("refused  " + clean(text_of(one, "object")) + ": " + clean(text_of(one, "why")));
  output.talk(plural(number_of(answer, "seen"), "package") + " there");
  return items_of(member_of(answer, "refused")).empty() ? kDone : kFailed;
}

}  // namespace

std::vector<Command> package_commands() {
  return {
      {.path = "package",
       .sentence = "Push, list and delete packages of programs",
       .examples = {"geres package push demo ./thumbnails", "geres package list --tenant demo"},
       .group = Group::everyday},
      {.path = "package push",
       .sentence = "Send a package: a ZIP, or a directory that is packed on the way",
       .usage = {"<tenant> <file.zip | directory> [--name <name>]"},
       .examples = {"geres package push demo ./thumbnails", "geres package push demo build/out.zip --name thumbnails"},
       .flags = {{.name = "name", .value = "N", .help = "its name (default: that of the directory or file)"}},
       .run = push,
       .arguments_min = 2,
       .arguments_max = 2,
       .live = Live::files},
      {.path = "package list",
       .sentence = "List packages and their versions",
       .usage = {"[--tenant <tenant>] [--name <name>] [--all]"},
       .examples = {"geres package list --tenant demo"},
       .flags = {tenant_flag(),
                 {.name = "name", .value = "N", .help = "only this one", .live = Live::packages},
                 {.name = "all", .help = "also those that submit made of commands"}},
       .run = list},
      {.path = "package sync",
       .sentence = "Look now for packages in the store that the hub's --import-layout names",
       .usage = {""},
       .examples = {"geres package sync"},
       .run = sync},
      {.path = "package delete",
       .sentence = "Delete a package, or one version of it; refused while an unfinished job needs it",
       .usage = {"<tenant> <package> [--version <n>]"},
       .examples = {"geres package delete demo thumbnails --version 1"},
       .flags = {{.name = "version", .value = "N", .help = "only this version", .kind = Kind::integer}},
       .run = remove,
       .arguments_min = 2,
       .arguments_max = 2,
       .live = Live::packages},
  };
}

}  // namespace geres::cli
