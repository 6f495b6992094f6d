// SPDX-License-Identifier: Apache-2.0
// What an attempt left behind: its result and the files in its output directory. The job made all of it, so no link is
// followed out of the directory, only regular files of the job's own user count, and number and size are limited. What
// is not kept is reported, never dropped silently.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "host/workspace.h"
#include "model/attempt.h"

namespace geres::host {

struct ResultText {
  std::string text;  // clean UTF-8, at most kResultBytesMax
  bool truncated = false;
};

// The result file if the job made it, else the end of its standard output, else nothing.
std::optional<ResultText> read_result(const Workspace& workspace, const JobUser& user);

struct OutputFile {
  std::string path;  // relative, with "/"
  // If it is a link: where to open it, following links that stay within; empty: open `path`, through no link.
  std::string through;
  std::int64_t size = 0;
  std::string sha256;
};

struct OutputLimits {
  std::int64_t files = 10'000;
  std::int64_t bytes = 10LL << 30;
  std::int64_t entries = 200'000;  // of any kind, that are looked at
};

// What can be kept, and what cannot, with name and reason.
struct Harvest {
  std::vector<OutputFile> files;  // sorted by path
  model::FilesLeftOut left_out;
  void leave_out(std::string_view path, std::string why);
};

// Whether there is anything to gather or report; fast.
bool has_output(const Workspace& workspace, const JobUser& user);

// Goes through the whole output directory and reads each file for its digest and true size, so not on the loop's
// thread. A link to a file within the directory is kept as that file. What cannot be kept (other links, pipes,
// unreadable files, names that model::check_relative_path refuses, anything over the limits) is left out and does not
// affect the others. A result that is not a regular file is reported among these, as GERES_RESULT.
Harvest gather_output(const Workspace& workspace, const JobUser& user, const OutputLimits& limits);

// Opens one of the files again; empty if it is no longer the same regular file.
Fd open_output(const Workspace& workspace, const JobUser& user, const OutputFile& file);

}  // namespace geres::host
