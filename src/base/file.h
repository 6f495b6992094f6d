// SPDX-License-Identifier: Apache-2.0
// Files that are either there in full or not at all, and directories that only we may enter.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace geres {

// A file descriptor that closes itself.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd() { reset(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release();
  void reset();

 private:
  int fd_ = -1;
};

// All of these throw std::system_error, with the path in its text, when the world fails.

std::string read_file(const std::filesystem::path& path);                    // the whole file
std::optional<std::string> read_file_if(const std::filesystem::path& path);  // nullopt if absent
// Another text once the file is another, or was written again: by device, inode, size and time. "-" if absent. Never
// throws.
std::string file_mark(const std::filesystem::path& path);
void write_all(int fd, std::string_view bytes);

// Written to a file beside it, synced, renamed over it, and the directory synced: readers see the old file or the new
// one.
void replace_file(const std::filesystem::path& path, std::string_view content, unsigned mode = 0644);
void sync_directory(const std::filesystem::path& path);

// Makes the directory (parents too) with mode 0700 if it is absent.
void make_private_directory(const std::filesystem::path& path);

// Removes a file, or a directory with everything in it, even what its owner has made unreadable. What is below `path`
// may belong to somebody we do not trust; for what is above it use base/beneath.h. Never throws; false if something is
// left.
bool remove_tree(const std::filesystem::path& path) noexcept;

// Takes an exclusive lock (flock) on `path`, which is made if absent. Empty if another process holds the lock.
Fd try_lock_file(const std::filesystem::path& path);

// A directory of its own under $TMPDIR, removed with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace geres
