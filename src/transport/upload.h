// SPDX-License-Identifier: Apache-2.0
// The file that a call sends as its body. The size that stat reports may be wrong: files of /proc say 0, those of /sys
// say 4,096, and others grow or shrink meanwhile. As many bytes are sent as were announced.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/file.h"

namespace geres::transport {

class Upload {
 public:
  // Throws std::system_error if it cannot be opened or read.
  explicit Upload(const std::filesystem::path& file);
  // The `bytes` of it that begin at `from`.
  Upload(std::shared_ptr<const Fd> file, std::int64_t bytes, std::int64_t from = 0)
      : fd_(std::move(file)), size_(bytes), from_(from) {}

  // How many bytes there will be; nullopt: unknown until the end.
  std::optional<std::int64_t> size() const { return size_; }
  ssize_t read(std::span<char> into);  // 0: the end; -1: it cannot be read, or has become shorter
  bool seek(std::int64_t offset);      // counted from the first byte that is sent
  bool changed() const { return changed_; }

 private:
  std::shared_ptr<const Fd> fd_;
  std::string start_;  // a small file is read in full beforehand, so that its content is of one moment
  std::optional<std::int64_t> size_;
  std::int64_t from_ = 0;  // where in the file the first byte lies
  std::int64_t at_ = 0;
  bool changed_ = false;
};

}  // namespace geres::transport
