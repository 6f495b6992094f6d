// SPDX-License-Identifier: Apache-2.0
#include "package/digest.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/file.h"
#include "base/sha256.h"

namespace geres::package {

std::string sha256_of_file(const std::filesystem::path& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw std::system_error(errno, std::generic_category(), "open " + path.string());
  Sha256 sha;
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw std::system_error(errno, std::generic_category(), "read " + path.string());
    if (got == 0) return sha.hex();
    sha.update({buffer, std::size_t(got)});
  }
}

}  // namespace geres::package
