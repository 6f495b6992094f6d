// SPDX-License-Identifier: Apache-2.0
#include "hub/data_directory.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "base/file.h"
#include "base/log.h"
#include "hub/cannot_start.h"

namespace geres::hub {

namespace {

// What lies in a hub's directory is nobody else's: jobs, results, files and secrets of all tenants. A directory that
// was there before (systemd's StateDirectory, mkdir) is often open to everybody, and so were files of 0.1.0 in it. A
// host may live there too, whose jobs have users of their own: these pass through, and read nothing.
void close_to_others(const std::filesystem::path& directory) {
  const auto close = [](const std::filesystem::path& path, mode_t kept) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0 || S_ISLNK(status.st_mode)) return;
    const mode_t mode = status.st_mode & 07777, closed = mode & kept;
    if (mode == closed) return;
    if (status.st_uid != ::geteuid() && ::geteuid() != 0)
      throw std::runtime_error(fmt::format("{} is open to other users and not this one's; try: chmod {:o} {}",
                                           path.string(), closed, path.string()));
    if (::chmod(path.c_str(), closed) != 0)
      throw std::system_error(errno, std::generic_category(), "close " + path.string() + " to other users");
    log::warn("{} was open to other users and is not any more", path.string());
  };
  close(directory, 0711);
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.path().filename() != "host") close(entry.path(), 0700);
}

}  // namespace

Fd lock_data_directory(const std::filesystem::path& directory) {
  make_private_directory(directory);
  close_to_others(directory);
  Fd lock = try_lock_file(directory / "hub.lock");
  if (!lock) throw CannotStart("data_dir", fmt::format("another hub uses {}", directory.string()));
  return lock;
}

void check_store_is_there(const std::filesystem::path& data, const std::filesystem::path& store,
                          const std::filesystem::path& token) {
  std::error_code ignored;
  const auto size = std::filesystem::file_size(store, ignored);
  if ((!ignored && size > 0) || !std::filesystem::exists(token, ignored)) return;
  throw std::runtime_error(fmt::format(
      "{} has a hub's admin.token, but {} is {}: is something not mounted? Put the store back, or a backup of it "
      "(geres "
      "hub restore); to begin anew, remove {}",
      data.string(), store.string(), std::filesystem::exists(store, ignored) ? "empty" : "missing", token.string()));
}

}  // namespace geres::hub
