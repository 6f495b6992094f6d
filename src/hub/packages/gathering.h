// SPDX-License-Identifier: Apache-2.0
// Uploads on their way in, collected in files of this machine: a blob's name is its digest, which is known only at the
// end, and a package is looked into before it is kept.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/sha256.h"
#include "hub/packages/blobs.h"

namespace geres::hub::packages {

// A directory that is emptied when it is opened. Any thread.
class Gathering {
 public:
  // Uploads are refused while the disk has less than `reserve` free.
  Gathering(std::filesystem::path directory, std::uint64_t reserve);

  bool has_room_for(std::uint64_t bytes) const;
  Space space() const;  // throws std::system_error if the directory is gone or does not answer
  std::filesystem::path new_file() const;
  const std::filesystem::path& directory() const { return directory_; }

 private:
  const std::filesystem::path directory_;
  const std::uint64_t reserve_;
};

// One upload's file, which goes with it unless it was kept.
class GatheredFile {
 public:
  explicit GatheredFile(const Gathering& gathering);
  ~GatheredFile();
  GatheredFile(const GatheredFile&) = delete;
  GatheredFile& operator=(const GatheredFile&) = delete;

  [[nodiscard]] Result<void> write(std::string_view bytes);
  std::uint64_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }
  const Fd& fd() const { return fd_; }
  // All bytes are there: `badValue` if they are not what was announced (empty: nothing was).
  [[nodiscard]] Result<Blob> end(std::string_view expected_sha256);
  void sync();                   // throws std::system_error
  void keep() { kept_ = true; }  // it has been moved to its place

 private:
  const Gathering& gathering_;
  const std::filesystem::path path_;
  Fd fd_;
  Sha256 sha_;
  std::uint64_t size_ = 0;
  std::uint64_t check_at_;
  bool full_ = false;
  bool kept_ = false;
};

}  // namespace geres::hub::packages
