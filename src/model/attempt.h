// SPDX-License-Identifier: Apache-2.0
// What came of an attempt: as its host reports it, and as it is kept with the job.
#pragma once

#include <boost/describe/class.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/job_state.h"

namespace geres::model {

struct Exit {
  std::optional<int> code;
  std::optional<int> signal;
  bool operator==(const Exit&) const = default;
};

struct Usage {
  double cpu_seconds = 0;
  std::int64_t max_rss_bytes = 0;
  bool operator==(const Usage&) const = default;
};

struct Progress {
  std::optional<int> percent;  // 0 to 100
  std::string message;
  bool operator==(const Progress&) const = default;
};

// Something in the output directory of a job that was not kept with it, and why.
struct LeftOutFile {
  std::string
      path;  // below GERES_OUTPUT_DIR, or GERES_RESULT; bytes that are no UTF-8 as \xHH; cut after some hundred bytes
  std::string why;  // "a link to outside of GERES_OUTPUT_DIR"
  bool operator==(const LeftOutFile&) const = default;
};
BOOST_DESCRIBE_STRUCT(LeftOutFile, (), (path, why))

constexpr std::size_t kLeftOutNamedMax = 100;

struct FilesLeftOut {
  std::vector<LeftOutFile> named;  // the first kLeftOutNamedMax of …
  std::int64_t count = 0;          // … all
  bool operator==(const FilesLeftOut&) const = default;
  void add(LeftOutFile file) {
    if (named.size() < kLeftOutNamedMax) named.push_back(std::move(file));
    ++count;
  }
};

// One ended or current attempt.
struct Attempt {
  int attempt = 0;
  std::string host;
  Millis leased_at = 0;
  std::optional<Millis> started_at;
  std::optional<Millis> ended_at;  // absent while it goes on
  std::optional<Outcome> outcome;  // likewise
  std::string error;
  std::optional<Exit> exit;
  std::optional<Usage> usage;
  std::optional<Cause> cause;
  std::int64_t memory = 0;  // bytes that it asked of its host; 0: none in particular
};

// A file a job left (artifact).
struct JobFile {
  std::string path;
  std::int64_t size = 0;
  std::string sha256;
};

}  // namespace geres::model
