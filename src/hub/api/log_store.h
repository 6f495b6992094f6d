// SPDX-License-Identifier: Apache-2.0
// What jobs wrote to stdout and stderr, one file for each attempt and stream:
//
//   DIR/<aa>/<job>/<attempt>.<stream>       aa = the last two digits of the job's id
//
// Appended by offset, outside of the engine's tick and without syncing: a power loss may cost the last seconds of a
// log, never a result. A repeated piece is skipped, one that would leave a gap is refused, and what exceeds the cap is
// dropped.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/uuid.h"

namespace geres::hub::api {

enum class Stream { out, err };
std::optional<Stream> parse_stream(std::string_view name);  // stdout | stderr
std::string_view stream_name(Stream stream);

// Any thread. Throws std::system_error when the disk fails.
class LogStore {
 public:
  LogStore(std::filesystem::path directory, std::int64_t bytes_max);

  // Appends bytes of one attempt; the caller has checked that the lease is current. Returns false for a gap.
  bool append(Uuid job, int attempt, Stream stream, std::int64_t offset, std::string_view bytes);

  std::int64_t size(Uuid job, int attempt, Stream stream) const;  // 0 if there is none
  // At most `bytes_max` bytes from `offset`; empty at the end.
  std::string read(Uuid job, int attempt, Stream stream, std::int64_t offset, std::size_t bytes_max) const;
  // The offset at which the last `lines` lines begin.
  std::int64_t tail_offset(Uuid job, int attempt, Stream stream, std::int64_t lines) const;

  void remove(Uuid job) noexcept;

 private:
  std::filesystem::path directory_of(Uuid job) const;
  std::filesystem::path file_of(Uuid job, int attempt, Stream stream) const;
  std::mutex& lock_of(Uuid job) { return locks_[std::hash<Uuid>()(job) % locks_.size()]; }

  const std::filesystem::path directory_;
  const std::int64_t bytes_max_;
  std::array<std::mutex, 64> locks_;
};

}  // namespace geres::hub::api
