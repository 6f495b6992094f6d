// SPDX-License-Identifier: Apache-2.0
// Logs that move out: while a job goes on they grow in this machine's directory; a while after its end they become one
// object in a store elsewhere (log_object.h), and the directory forgets them. Nothing else notes where a log is: what
// lies in the directory has not moved yet, and an object is there in full or not at all.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/repeated.h"
#include "hub/logs/directory_logs.h"
#include "hub/logs/log_object.h"
#include "objects/object_store.h"

namespace geres::hub::logs {

inline constexpr const char* kLogsPrefix = "geres.logs/";
std::string log_object_of(Uuid job);  // its key

class ArchivedLogs final : public LogStore {
 public:
  // What the hub's store says of a job.
  struct Told {
    bool there = false;
    Millis ended_at = 0;  // wall; 0: it goes on
  };
  using Ask = std::function<Told(Uuid job)>;
  struct Options {
    Millis rest = 60'000;                // after the end, because that is when most logs are looked at
    std::size_t cache_bytes = 16 << 20;  // of indexes and chunks in memory
    std::filesystem::path gather;        // an object is made in a file here
  };

  ArchivedLogs(std::unique_ptr<DirectoryLogs> here, std::shared_ptr<objects::ObjectStore> store, Ask ask,
               const Clock& clock, Options options);

  bool append(const LogName& log, std::int64_t offset, std::string_view bytes) override {
    return here_->append(log, offset, bytes);
  }
  Result<std::int64_t> size(const LogName& log) override;
  Result<std::string> read(const LogName& log, std::int64_t offset, std::size_t bytes_max) override;
  Result<std::int64_t> tail_offset(const LogName& log, std::int64_t lines) override;
  void remove(Uuid job) noexcept override;

  // Moves what has rested; returns how many jobs' logs. Ends at the first that the store does not take.
  [[nodiscard]] Result<std::size_t> archive();
  // Removes the objects of jobs that are gone; returns how many.
  [[nodiscard]] Result<std::size_t> sweep();
  // Does both by itself from now on, the second once a day, and says what fails.
  void start(Millis every);
  void stop();

 private:
  void look();
  struct Kept {
    Uuid job;
    std::int64_t at = -1;  // of the chunk; -1: the index
    std::shared_ptr<const LogIndex> index;
    std::shared_ptr<const std::string> content;
    std::size_t bytes() const { return sizeof *this + (index ? index->memory() : 0) + (content ? content->size() : 0); }
  };
  using IndexPtr = std::shared_ptr<const LogIndex>;
  using ContentPtr = std::shared_ptr<const std::string>;

  Result<std::size_t> move_all(const std::vector<Uuid>& jobs);
  Result<void> moved_or_why(Uuid job);
  Result<void> move(Uuid job);
  Result<void> upload(Uuid job, const std::vector<LogName>& logs);
  Result<IndexPtr> index_of(Uuid job);  // without logs if there is no object
  Result<ContentPtr> content_of(Uuid job, const LogChunk& chunk);
  Result<std::string> read_range(Uuid job, std::int64_t from, std::int64_t bytes);
  std::optional<Kept> kept(Uuid job, std::int64_t at);
  void keep(Kept item);
  void forget(Uuid job);
  Error explained(Uuid job, Error error) const;

  const std::unique_ptr<DirectoryLogs> here_;
  const std::shared_ptr<objects::ObjectStore> store_;
  const Ask ask_;
  const Clock& clock_;
  const Options options_;
  std::mutex mutex_;
  std::list<Kept> cache_;  // what was used last comes first
  std::size_t cached_ = 0;
  bool failing_ = false;  // the mover's, as the next one
  Millis swept_at_ = 0;   // monotonic
  Repeated mover_;        // last: it uses what is above
};

}  // namespace geres::hub::logs
