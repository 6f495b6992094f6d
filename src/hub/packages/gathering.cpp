// SPDX-License-Identifier: Apache-2.0
#include "hub/packages/gathering.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/uuid.h"

namespace geres::hub::packages {
namespace {

constexpr std::uint64_t kCheckSpaceEvery = std::uint64_t(8) << 20;

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

Error full() {
  return fail(Code::storageFull, "there is no room for this file on the hub's disk");
}

}  // namespace

Gathering::Gathering(std::filesystem::path directory, std::uint64_t reserve)
    : directory_(std::move(directory)), reserve_(reserve) {
  std::filesystem::remove_all(directory_);
  make_private_directory(directory_);
}

Space Gathering::space() const {
  // A file system that is no longer mounted leaves an empty directory behind.
  if (::access(directory_.c_str(), W_OK | X_OK) != 0) throw_errno("look into " + directory_.string());
  struct statvfs status {};
  if (::statvfs(directory_.c_str(), &status) != 0) throw_errno("ask for free space in " + directory_.string());
  return {std::uint64_t(status.f_bavail) * status.f_frsize, std::uint64_t(status.f_blocks) * status.f_frsize};
}

bool Gathering::has_room_for(std::uint64_t bytes) const {
  const auto free = space().free_bytes;
  return free >= reserve_ && free - reserve_ >= bytes;
}

std::filesystem::path Gathering::new_file() const {
  return directory_ / random_hex(16);
}

GatheredFile::GatheredFile(const Gathering& gathering)
    : gathering_(gathering), path_(gathering.new_file()), check_at_(kCheckSpaceEvery) {
  fd_ = Fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd_) throw_errno("create " + path_.string());
}

GatheredFile::~GatheredFile() {
  if (!kept_) ::unlink(path_.c_str());
}

Result<void> GatheredFile::write(std::string_view bytes) {
  if (full_) return full();
  if (size_ + bytes.size() >= check_at_) {
    check_at_ = size_ + bytes.size() + kCheckSpaceEvery;
    full_ = !gathering_.has_room_for(bytes.size());
    if (full_) return full();
  }
  try {
    write_all(fd_.get(), bytes);
  } catch (const std::system_error& error) {
    full_ = error.code() == std::errc::no_space_on_device || error.code().value() == EDQUOT;
    if (!full_) throw;
    return full();
  }
  sha_.update(bytes);
  size_ += bytes.size();
  return {};
}

Result<Blob> GatheredFile::end(std::string_view expected_sha256) {
  if (full_) return full();
  Blob blob{sha_.hex(), size_};
  if (!expected_sha256.empty() && expected_sha256 != blob.sha256)
    return fail(Code::badValue, "the content's SHA-256 is " + blob.sha256 + ", not the one that was announced");
  return blob;
}

void GatheredFile::sync() {
  if (::futimens(fd_.get(), nullptr) != 0 || ::fsync(fd_.get()) != 0) throw_errno("sync " + path_.string());
}

}  // namespace geres::hub::packages
