// SPDX-License-Identifier: Apache-2.0
// The files that a job left or was given: listed, or downloaded to a directory.
#include <algorithm>

#include "base/duration.h"
#include "cli/context.h"
#include "cli/job_ids.h"
#include "cli/job_log.h"
#include "cli/job_words.h"
#include "cli/output_directory.h"

namespace geres::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNamedMax = 10;

std::string escaped_path(const std::string& path) {
  std::string out;
  for (const auto& segment : split(path, '/')) out += (out.empty() ? "" : "/") + client::escaped(segment);
  return out;
}

struct Wanted : OutputDirectory::Wanted {
  std::string url;
};

// `told` receives what the hub says besides the list, such as what was left out.
std::vector<Wanted> left_files(Context& context, const std::string& id, json::value& told) {
  std::vector<Wanted> files;
  client::Query page;
  do {
    const auto answer = context.ask(context.hub().get("/v1/jobs/" + id + "/files", page));
    for (const auto& file : items_of(answer)) {
      const auto path = text_of(file, "path");
      files.push_back({{path, text_of(file, "sha256"), number_of(file, "size")},
                       "/v1/jobs/" + id + "/files/" + escaped_path(path)});
    }
    if (page.empty()) told = answer;
    page = {{"cursor", text_of(answer, "next")}};
  } while (!page.front().second.empty());
  return files;
}

std::vector<Wanted> given_files(const wire::JobView& job) {
  std::vector<Wanted> files;
  for (const auto& input : job.inputs)
    files.push_back({{input.path, input.sha256}, "/v1/files/" + client::escaped(job.tenant) + "/" + input.sha256});
  return files;
}

// `word` is the file's name, or its name as the list shows it.
bool is_called(const Wanted& file, const std::string& word) {
  return file.path == word || escaped_name(file.path) == word;
}

void keep_chosen(std::vector<Wanted>& files, const std::vector<std::string>& arguments) {
  if (arguments.size() < 2) return;
  const auto first = arguments.begin() + 1;
  std::vector<std::string> names;
  for (const auto& file : files) names.push_back(escaped_name(file.path));
  for (auto word = first; word != arguments.end(); ++word)
    if (std::none_of(files.begin(), files.end(), [&](const Wanted& file) { return is_called(file, *word); }))
      cannot("the job has no file '" + *word + "'", names.empty() ? "it has none" : "it has " + joined(names), {}, {});
  std::erase_if(files, [&](const Wanted& file) {
    return std::none_of(first, arguments.end(), [&](const std::string& word) { return is_called(file, word); });
  });
}

// A file that is already there with the same content is left alone. Any other file of that name is the user's, and is
// reported before anything is written.
std::vector<Wanted> missing_files(const std::vector<Wanted>& files, const OutputDirectory& directory, bool force) {
  std::vector<Wanted> missing;
  std::vector<std::string> taken;
  for (const auto& file : files) {
    const auto there = directory.look(file);
    if (there != OutputDirectory::There::same) missing.push_back(file);
    if (there == OutputDirectory::There::other) taken.push_back(escaped_name(file.path));
  }
  if (taken.empty() || force) return missing;
  const auto number = taken.size();
  if (number > kNamedMax) taken.resize(kNamedMax);
  throw Trouble{kFailed,
                plural(std::int64_t(number), "file") + " would be overwritten: " + joined(taken) +
                    (number > kNamedMax ? ", …" : ""),
                "nothing was written", "--force, or another --out"};
}

void fetch(Context& context, const std::vector<Wanted>& files, const fs::path& place) {
  catch_interrupts();  // so that a partial file is removed
  const OutputDirectory directory(place);
  const bool force = context.has("force");
  std::int64_t bytes = 0;
  for (const auto& file : missing_files(files, directory, force)) {
    const auto target = directory.begin(file.path);
    bytes += std::int64_t(context.ask(context.hub().download(file.url, {}, *target)));
    target->put(force ? NewFile::There::replace : NewFile::There::refuse);
  }
  context.output.talk(plural(std::int64_t(files.size()), "file") + ", " + format_size(bytes) + ", in " +
                      place.string());
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
  json::value told;
  auto files = inputs ? given_files(wire::job_view(context.ask(context.hub().get("/v1/jobs/" + id))))
                      : left_files(context, id, told);
  keep_chosen(files, context.words.arguments);
  if (files.empty()) {
    output.hint(inputs ? "the job was given no files" : "the job left no files");
  } else if (directory) {
    fetch(context, files, *directory);
  } else {
    Table table({{"PATH", false, true}, {"SIZE", true}});
    for (const auto& file : files)
      table.add({escaped_name(file.path), inputs ? Cell("") : Cell(format_size(file.size), std::to_string(file.size))});
    output.out(table.text(output.look, terminal_width(1)));
    output.hint("geres job files " + context.words.arguments[0] + (inputs ? " --inputs" : "") + " --out DIR");
  }
  for (const auto& line : left_out_lines(wire::job_view(told))) output.talk("left out: " + line);
  if (!output.look.json) return kDone;
  json::object done;
  auto& paths = done["files"].emplace_array();
  for (const auto& file : files) paths.emplace_back((fs::path(*directory) / file.path).string());
  for (const char* member : {"filesLeftOut", "filesLeftOutCount"})
    if (const auto& value = member_of(told, member); !value.is_null()) done[member] = value;
  output.json(done);
  return kDone;
}

}  // namespace

Command job_files_command() {
  return {.path = "job files",
          .sentence = "List or fetch the files a job left, or with --inputs those it was given",
          .usage = {"<job> [<path>...] [--inputs] [--out <directory> [--force]]"},
          .examples = {"geres job files last", "geres job files last --out results",
                       "geres job files 77d0b7 --inputs --out ."},
          .flags = {{.name = "inputs", .help = "those it was given"},
                    {.name = "out", .value = "DIR", .help = "fetch them into this directory", .live = Live::files},
                    {.name = "force", .help = "also over files that are there already"}},
          .run = job_files,
          .arguments_min = 1,
          .arguments_max = kAnyNumber,
          .live = Live::jobs};
}

}  // namespace geres::cli
