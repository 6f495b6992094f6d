// SPDX-License-Identifier: Apache-2.0
// The files a job left, or was given: listed, or fetched into a directory. Where a file lies there is decided by its
// path as the hub tells it, which must stay inside of that directory.
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "base/duration.h"
#include "base/file.h"
#include "cli/context.h"
#include "cli/job_ids.h"
#include "cli/job_log.h"
#include "cli/job_words.h"

namespace geres::cli {
namespace {

namespace fs = std::filesystem;

std::string escaped_path(const std::string& path) {
  std::string out;
  for (const auto& segment : split(path, '/')) out += (out.empty() ? "" : "/") + client::escaped(segment);
  return out;
}

fs::path inside(const fs::path& directory, const std::string& path) {
  const fs::path relative(path);
  bool fine = !path.empty() && relative.is_relative() && path.find('\0') == std::string::npos;
  for (const auto& part : relative) fine = fine && part != ".." && part != ".";
  if (!fine)
    throw Trouble{kFailed, "the hub names a file '" + path + "', which would not lie in " + directory.string(),
                  "it was left alone"};
  return directory / relative;
}

void check_writable(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error || ::access(directory.c_str(), W_OK) != 0)
    usage_error("the directory '" + directory.string() + "' cannot be written",
                error ? error.message() : std::string(std::generic_category().message(errno)),
                "--out DIR, one of your own", "--out");
}

struct Wanted {
  std::string path;
  std::string url;
  std::int64_t size = 0;
};

std::vector<Wanted> left_files(Context& context, const std::string& id) {
  std::vector<Wanted> files;
  context.ask(context.hub().list("/v1/jobs/" + id + "/files", {}, [&](const json::value& file) {
    const auto path = text_of(file, "path");
    files.push_back({path, "/v1/jobs/" + id + "/files/" + escaped_path(path), number_of(file, "size")});
    return true;
  }));
  return files;
}

std::vector<Wanted> given_files(const json::value& job) {
  std::vector<Wanted> files;
  for (const auto& input : items_of(member_of(job, "inputs")))
    files.push_back({text_of(input, "path"),
                     "/v1/files/" + client::escaped(text_of(job, "tenant")) + "/" + text_of(input, "sha256"), 0});
  return files;
}

void keep_chosen(std::vector<Wanted>& files, const std::vector<std::string>& arguments) {
  if (arguments.size() < 2) return;
  std::vector<std::string> names;
  for (const auto& file : files) names.push_back(file.path);
  for (std::size_t i = 1; i < arguments.size(); ++i)
    if (std::find(names.begin(), names.end(), arguments[i]) == names.end())
      usage_error("the job has no file '" + arguments[i] + "'",
                  names.empty() ? "it has none" : "it has " + joined(names), {}, {});
  std::erase_if(files, [&](const Wanted& file) {
    return std::find(arguments.begin() + 1, arguments.end(), file.path) == arguments.end();
  });
}

void fetch(Context& context, const std::vector<Wanted>& files, const fs::path& directory) {
  check_writable(directory);
  std::int64_t bytes = 0;
  for (const auto& file : files) {
    const auto target = inside(directory, file.path);
    fs::create_directories(target.parent_path());
    bytes += std::int64_t(context.ask(context.hub().download(file.url, {}, target)));
  }
  context.output.talk(plural(std::int64_t(files.size()), "file") + ", " + format_size(bytes) + ", in " +
                      directory.string());
}

int job_files(Context& context) {
  const auto id = resolve_job(context, context.words.arguments[0]);
  auto& output = context.output;
  const bool inputs = context.has("inputs");
  const auto directory = context.value("out");
  if (output.look.json && !directory) {
    const auto answer = context.ask(context.hub().get("/v1/jobs/" + id + (inputs ? "" : "/files")));
    context.show_json(inputs ? json::value(json::object{{"items", items_of(member_of(answer, "inputs"))}}) : answer);
    return kDone;
  }
  auto files = inputs ? given_files(context.ask(context.hub().get("/v1/jobs/" + id))) : left_files(context, id);
  keep_chosen(files, context.words.arguments);
  if (files.empty()) {
    output.hint(inputs ? "the job was given no files" : "the job left no files");
    return kDone;
  }
  if (directory) {
    fetch(context, files, *directory);
    if (output.look.json) {
      json::array paths;
      for (const auto& file : files) paths.emplace_back((fs::path(*directory) / file.path).string());
      output.json(json::object{{"files", paths}});
    }
    return kDone;
  }
  Table table({{"PATH", false, true}, {"SIZE", true}});
  for (const auto& file : files)
    table.add({file.path, inputs ? Cell("") : Cell(format_size(file.size), std::to_string(file.size))});
  output.out(table.text(output.look, terminal_width(1)));
  output.hint("geres job files " + context.words.arguments[0] + (inputs ? " --inputs" : "") + " --out DIR");
  return kDone;
}

}  // namespace

Command job_files_command() {
  return {.path = "job files",
          .sentence = "List or fetch the files a job left, or with --inputs those it was given",
          .usage = {"<job> [<path>...] [--inputs] [--out <directory>]"},
          .examples = {"geres job files last", "geres job files last --out results",
                       "geres job files 77d0b7 --inputs --out ."},
          .flags = {{.name = "inputs", .help = "those it was given"},
                    {.name = "out", .value = "DIR", .help = "fetch them into this directory", .live = Live::files}},
          .run = job_files,
          .arguments_min = 1,
          .arguments_max = kAnyNumber,
          .live = Live::jobs};
}

}  // namespace geres::cli
