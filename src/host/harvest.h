// SPDX-License-Identifier: Apache-2.0
// What an attempt left behind: its result and the files in its output directory. All of it was made by the job, so
// links are not followed, only regular files of the job's own user count, and both number and size are capped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "host/workspace.h"

namespace geres::host {

struct ResultText {
  std::string text;  // clean UTF-8, at most kResultBytesMax
  bool truncated = false;
};

// The result file if the job made it, else the end of its standard output, else nothing.
std::optional<ResultText> read_result(const Workspace& workspace, const JobUser& user);

struct OutputFile {
  std::string path;  // relative, with "/"
  std::int64_t size = 0;
  std::string sha256;  // filled in by measure()
};

struct OutputLimits {
  std::int64_t files = 10'000;
  std::int64_t bytes = 10LL << 30;
};

bool has_output(const Workspace& workspace);  // anything at all; quick

// Sorted by path. May have many to look at: not on the loop's thread. tooMany or tooLarge when there is more than the
// limits allow. Names that are not UTF-8 or have control characters are left out (they cannot be told in JSON, or would
// lie on a terminal).
Result<std::vector<OutputFile>> list_output(const Workspace& workspace, const JobUser& user,
                                            const OutputLimits& limits);

// Opens one of them again; empty if it is not the regular file it was.
Fd open_output(const Workspace& workspace, const JobUser& user, const std::string& path);

// Digest and true size of each. Reads them whole: not on the loop's thread. An error names the file that went away.
Result<void> measure(const Workspace& workspace, const JobUser& user, std::vector<OutputFile>& files);

}  // namespace geres::host
