// SPDX-License-Identifier: Apache-2.0
// All logs of one job as one object: a gzip file of many members (RFC 1952), so that `zcat` shows it without us.
//
// Each member holds at most kChunk bytes of one attempt's stream and bears its name ("1.stdout"). So a part of a log is
// read without what comes before. An empty member after them has the index in its comment, as JSON; the last one, of a
// fixed size, says in its extra field where the index begins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "hub/logs/log_store.h"

namespace geres::hub::logs {

constexpr std::size_t kChunk = 256 * 1024;

// Where one member lies, and what it holds.
struct LogChunk {
  std::int64_t at = 0, bytes = 0;        // within the object
  std::int64_t offset = 0, content = 0;  // within the log
  std::int64_t lines = 0;                // that end in it
};

struct IndexedLog {
  int attempt = 0;
  Stream stream = Stream::out;
  std::vector<LogChunk> chunks;  // in order, without gaps

  std::int64_t size() const { return chunks.empty() ? 0 : chunks.back().offset + chunks.back().content; }
  const LogChunk* at(std::int64_t offset) const;  // the chunk that holds this byte; null: beyond the end
};

class LogIndex {
 public:
  const IndexedLog* find(int attempt, Stream stream) const;
  const std::vector<IndexedLog>& logs() const { return logs_; }
  void add(IndexedLog log) { logs_.push_back(std::move(log)); }
  std::size_t memory() const;  // about

 private:
  std::vector<IndexedLog> logs_;
};

using Write = std::function<Result<void>(std::string_view bytes)>;
// Bytes from `from` on, at most `bytes` of them.
using ReadRange = std::function<Result<std::string>(std::int64_t from, std::int64_t bytes)>;

// Writes the object of these logs, read from `source`.
[[nodiscard]] Result<void> write_log_object(LogStore& source, const std::vector<LogName>& logs, const Write& write);

// `size`: of the object. badValue if it is no such object, or a damaged one.
[[nodiscard]] Result<LogIndex> read_log_index(std::int64_t size, const ReadRange& read);
// The chunk's content from its bytes. badValue if they are damaged.
[[nodiscard]] Result<std::string> read_log_chunk(const LogChunk& chunk, std::string_view bytes);

}  // namespace geres::hub::logs
