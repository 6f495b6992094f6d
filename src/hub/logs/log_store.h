// SPDX-License-Identifier: Apache-2.0
// What jobs wrote to stdout and stderr: for each attempt two streams of bytes, addressed by offset.
//
// Logs are kept beside the engine and without syncing: a power loss may cost the last seconds of one, never a result.
// All verbs may be called from any thread and may block. What lies elsewhere and cannot be reached is `blobStoreAway`;
// trouble with this machine's disk is a std::system_error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/uuid.h"

namespace geres::hub::logs {

enum class Stream { out, err };
std::optional<Stream> parse_stream(std::string_view name);  // stdout | stderr
std::string_view stream_name(Stream stream);

// One attempt's one stream.
struct LogName {
  Uuid job;
  int attempt = 0;
  Stream stream = Stream::out;
};

class LogStore {
 public:
  virtual ~LogStore() = default;

  // The caller has checked that the attempt goes on. A repeated piece is skipped, what exceeds the cap is dropped, and
  // one that would leave a gap is refused: false.
  virtual bool append(const LogName& log, std::int64_t offset, std::string_view bytes) = 0;
  // 0 if there is none.
  [[nodiscard]] virtual Result<std::int64_t> size(const LogName& log) = 0;
  // At most `bytes_max` bytes from `offset`; empty at the end.
  [[nodiscard]] virtual Result<std::string> read(const LogName& log, std::int64_t offset, std::size_t bytes_max) = 0;
  // The offset at which the last `lines` lines begin.
  [[nodiscard]] virtual Result<std::int64_t> tail_offset(const LogName& log, std::int64_t lines) = 0;
  // All of a job's. What cannot be removed now is left to a later look.
  virtual void remove(Uuid job) noexcept = 0;
};

}  // namespace geres::hub::logs
