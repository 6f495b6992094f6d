// SPDX-License-Identifier: Apache-2.0
#include "base/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace geres {
namespace {

constexpr int kTriesMax = 100;  // EAGAIN: something above was renamed in the meantime

bool is_plain(const std::filesystem::path& path) {
  if (path.empty() || path.is_absolute() || !path.has_filename()) return false;
  for (const auto& part : path)
    if (part.empty() || part == "." || part == "..") return false;
  return true;
}

}  // namespace

Fd open_beneath_by_parts(int directory, const std::string& path, int flags, unsigned mode) {
  const std::filesystem::path parts(path);
  if (!is_plain(parts)) return errno = EINVAL, Fd();
  struct stat top {};
  if (::fstat(directory, &top) != 0) return Fd();
  Fd held;
  int at = directory;
  for (const auto& part : parts.parent_path()) {
    Fd below(::openat(at, part.c_str(), O_RDONLY | O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat facts {};
    if (!below || ::fstat(below.get(), &facts) != 0) return Fd();
    if (facts.st_dev != top.st_dev) return errno = EXDEV, Fd();
    held = std::move(below);
    at = held.get();
  }
  return Fd(::openat(at, parts.filename().c_str(), flags | O_NOFOLLOW | O_CLOEXEC, mode));
}

Fd open_beneath(int directory, const std::string& path, int flags, unsigned mode) {
  if (!is_plain(path)) return errno = EINVAL, Fd();
  open_how how{};
  how.flags = std::uint64_t(flags | O_NOFOLLOW | O_CLOEXEC);
  how.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  for (int tries = 0; tries < kTriesMax; ++tries) {
    const auto fd = ::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how);
    if (fd >= 0) return Fd(int(fd));
    // Some containers answer EPERM for system calls that they do not know.
    if (errno == ENOSYS || errno == EPERM) return open_beneath_by_parts(directory, path, flags, mode);
    if (errno != EAGAIN && errno != EINTR) return Fd();
  }
  return Fd();
}

}  // namespace geres
