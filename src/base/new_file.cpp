// SPDX-License-Identifier: Apache-2.0
#include "base/new_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "base/uuid.h"

namespace geres {
namespace {

Fd directory_of(const std::filesystem::path& place) {
  const auto parent = place.parent_path();
  Fd fd(::open(parent.empty() ? "." : parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) throw std::system_error(errno, std::generic_category(), place.string());
  return fd;
}

}  // namespace

NewFile::NewFile(const std::filesystem::path& place) : NewFile(directory_of(place), place.filename(), place) {}

NewFile::NewFile(Fd directory, std::string name, std::filesystem::path place)
    : directory_(std::move(directory)),
      name_(std::move(name)),
      beside_(".geres-" + random_hex(6) + ".part"),
      place_(std::move(place)) {
  fd_ = Fd(::openat(directory_.get(), beside_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd_) failed();
}

NewFile::~NewFile() {
  if (fd_ && !beside_.empty()) ::unlinkat(directory_.get(), beside_.c_str(), 0);
}

void NewFile::failed() const {
  throw std::system_error(errno, std::generic_category(), "'" + place_.string() + "' cannot be written");
}

void NewFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd_.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) failed();
    bytes.remove_prefix(std::size_t(put));
  }
}

void NewFile::restart() {
  if (::ftruncate(fd_.get(), 0) != 0 || ::lseek(fd_.get(), 0, SEEK_SET) != 0) failed();
}

void NewFile::put(There there) {
  const auto rename = [&](unsigned flags) {
    return ::renameat2(directory_.get(), beside_.c_str(), directory_.get(), name_.c_str(), flags) == 0;
  };
  bool done = rename(there == There::refuse ? RENAME_NOREPLACE : 0);
  if (!done && errno == EINVAL && there == There::refuse)  // EINVAL: a file system without RENAME_NOREPLACE
    done = ::faccessat(directory_.get(), name_.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0 ? rename(0)
                                                                                        : (errno = EEXIST, false);
  if (!done) failed();
  beside_.clear();
}

}  // namespace geres
