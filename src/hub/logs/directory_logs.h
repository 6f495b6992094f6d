// SPDX-License-Identifier: Apache-2.0
// Logs in a directory of this machine, one file for each attempt and stream:
//
//   DIR/<aa>/<job>/<attempt>.<stream>       aa = the last two digits of the job's id
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <mutex>
#include <vector>

#include "base/file.h"
#include "hub/logs/log_store.h"

namespace geres::hub::logs {

class DirectoryLogs final : public LogStore {
 public:
  DirectoryLogs(std::filesystem::path directory, std::int64_t bytes_max);

  bool append(const LogName& log, std::int64_t offset, std::string_view bytes) override;
  Result<std::int64_t> size(const LogName& log) override;
  Result<std::string> read(const LogName& log, std::int64_t offset, std::size_t bytes_max) override;
  Result<std::int64_t> tail_offset(const LogName& log, std::int64_t lines) override;
  void remove(Uuid job) noexcept override;

  bool has(const LogName& log) const;
  std::vector<LogName> of(Uuid job) const;  // by attempt, stdout first
  void each_job(const std::function<void(Uuid job)>& visit) const;

 private:
  std::filesystem::path directory_of(Uuid job) const;
  std::filesystem::path file_of(const LogName& log) const;
  std::mutex& lock_of(Uuid job) { return locks_[std::hash<Uuid>()(job) % locks_.size()]; }

  const std::filesystem::path directory_;
  const std::int64_t bytes_max_;
  std::array<std::mutex, 64> locks_;
};

}  // namespace geres::hub::logs
