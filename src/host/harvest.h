// SPDX-License-Identifier: Apache-2.0
// What an attempt left behind: its result and the files in its output directory. All of it was made by the job, so no
// link is followed to anywhere else, only regular files of the job's own user count, and both number and size are
// capped. Nothing goes away silently: what is not kept is told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "host/workspace.h"
#include "model/job.h"

namespace geres::host {

struct ResultText {
  std::string text;  // clean UTF-8, at most kResultBytesMax
  bool truncated = false;
};

// The result file if the job made it, else the end of its standard output, else nothing.
std::optional<ResultText> read_result(const Workspace& workspace, const JobUser& user);

struct OutputFile {
  std::string path;     // relative, with "/"
  std::string through;  // a link's: where to open it, following links that stay within; empty: at `path`, through none
  std::int64_t size = 0;
  std::string sha256;
};

struct OutputLimits {
  std::int64_t files = 10'000;
  std::int64_t bytes = 10LL << 30;
  std::int64_t entries = 200'000;  // of any kind, that are looked at
};

// What can be kept, and what cannot, by name and reason.
struct Harvest {
  std::vector<OutputFile> files;  // sorted by path
  model::FilesLeftOut left_out;
  void leave_out(std::string_view path, std::string why);
};

bool has_output(const Workspace& workspace, const JobUser& user);  // anything at all to gather, or to tell of; quick

// Looks at the whole output directory and reads each of its files for its digest and true size: not on the loop's
// thread. Links that lead to a file within the directory are taken as that file. What cannot be kept (other links,
// pipes, what cannot be read, names that model::check_relative_path refuses, what is beyond the limits) is left out,
// and costs the others nothing. So is, as GERES_RESULT, a result that is no plain file.
Harvest gather_output(const Workspace& workspace, const JobUser& user, const OutputLimits& limits);

// Opens one of them again; empty if it is not the regular file it was.
Fd open_output(const Workspace& workspace, const JobUser& user, const OutputFile& file);

}  // namespace geres::host
