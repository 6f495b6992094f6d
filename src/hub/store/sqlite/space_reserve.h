// SPDX-License-Identifier: Apache-2.0
// Disk space kept back beside the store, so that on a full disk running jobs can still end: a file that is allotted
// and never written. When a write finds no room the file goes; until it can be made again the store takes no new jobs.
#pragma once

#include <filesystem>

namespace geres::hub::store::sqlite {

class SpaceReserve {
 public:
  SpaceReserve(std::filesystem::path file, std::int64_t bytes);  // 0 bytes: none is kept
  bool spent() const { return spent_; }
  void spend() noexcept;    // gives the room back to the disk
  void restore() noexcept;  // tries to take it again, once a second at most

 private:
  bool allot() noexcept;

  std::filesystem::path file_;
  std::int64_t bytes_;
  bool spent_ = false;
  std::int64_t next_try_ = 0;
};

}  // namespace geres::hub::store::sqlite
