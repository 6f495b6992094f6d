// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "base/uuid.h"

namespace geres {
namespace {

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

std::string read_open_file(int fd, const std::filesystem::path& path) {
  std::string content;
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("read " + path.string());
    if (got == 0) return content;
    content.append(buffer, std::size_t(got));
  }
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}

int Fd::release() {
  return std::exchange(fd_, -1);
}

void Fd::reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

std::string read_file(const std::filesystem::path& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw_errno("open " + path.string());
  return read_open_file(fd.get(), path);
}

std::optional<std::string> read_file_if(const std::filesystem::path& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) throw_errno("open " + path.string());
  return read_open_file(fd.get(), path);
}

std::string file_mark(const std::filesystem::path& path) {
  struct stat about {};
  if (path.empty() || ::stat(path.c_str(), &about) != 0) return "-";
  std::string mark;
  for (const auto part : {std::int64_t(about.st_dev), std::int64_t(about.st_ino), std::int64_t(about.st_size),
                          std::int64_t(about.st_mtim.tv_sec), std::int64_t(about.st_mtim.tv_nsec)})
    mark += std::to_string(part) + '.';
  return mark;
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw_errno("write");
    bytes.remove_prefix(std::size_t(put));
  }
}

void replace_file(const std::filesystem::path& path, std::string_view content, unsigned mode) {
  const std::filesystem::path beside = path.string() + "." + random_hex(6) + ".tmp";
  {
    const Fd fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!fd) throw_errno("create " + beside.string());
    write_all(fd.get(), content);
    if (::fsync(fd.get()) != 0) throw_errno("fsync " + beside.string());
  }
  if (::rename(beside.c_str(), path.c_str()) != 0) throw_errno("rename to " + path.string());
  sync_directory(path.parent_path());
}

void sync_directory(const std::filesystem::path& path) {
  const Fd fd(::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) throw_errno("sync directory " + path.string());
}

void make_private_directory(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) return;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) throw_errno("make directory " + path.string());
}

Fd try_lock_file(const std::filesystem::path& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) throw_errno("open " + path.string());
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) throw_errno("lock " + path.string());
  return Fd();
}

TemporaryDirectory::TemporaryDirectory() {
  std::error_code none;
  const auto place = std::filesystem::temp_directory_path(none);
  if (none) {
    const char* named = std::getenv("TMPDIR");
    throw std::runtime_error(std::string("no place for temporary files: TMPDIR is '") + (named ? named : "") +
                             "', which is not a directory");
  }
  std::string pattern = (place / "geres-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw_errno("make a temporary directory in " + place.string());
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace geres
