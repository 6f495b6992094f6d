// SPDX-License-Identifier: Apache-2.0
// geres.json. Promises: trouble is the package's and names its place; what is taken reads the same when written; a
// command is filled without surprise.
#include "package/manifest.h"

#include "package/template.h"
#include "target.h"

using namespace geres;
using fuzz::must;

GERES_FUZZ_TARGET(manifest) {
  const auto manifest = package::parse_manifest(bytes);
  if (!manifest) return must(manifest.error().code == Code::badPackage, "trouble is the package's");
  const auto text = package::manifest_text(*manifest);
  const auto again = package::parse_manifest(text);
  must(again.has_value(), "what is written can be read", text);
  must(package::manifest_text(*again) == text, "and reads the same", text);
  for (const auto& [type, job] : manifest->jobs) {
    must(package::valid_type_name(type), "types have names of types", type);
    must(job.command.has_value() != job.library.has_value(), "a job is a command or a library", text);
    if (!job.command) continue;
    std::string parameters;
    for (const auto& name : package::parameters_of(job))
      parameters += (parameters.empty() ? "{" : ",") + boost::json::serialize(json::value(name)) + ":\"v\"";
    const auto filled =
        package::fill_command(*job.command, type, parameters.empty() ? "{}" : parameters + "}", "/package");
    must(filled && filled->size() == job.command->size(), "a command has as many arguments as were written", text);
  }
}
