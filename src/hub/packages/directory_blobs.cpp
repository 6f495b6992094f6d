// SPDX-License-Identifier: Apache-2.0
#include "hub/packages/directory_blobs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <mutex>
#include <system_error>
#include <vector>

#include "base/sha256.h"
#include "base/uuid.h"
#include "model/names.h"

namespace geres::hub::packages {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kCheckSpaceEvery = std::uint64_t(8) << 20;

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

Error full() {
  return fail(Code::storageFull, "there is no room for this file on the hub's disk");
}

std::vector<fs::path> directories_in(const fs::path& directory) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(directory))
    if (entry.is_directory() && !entry.is_symlink()) found.push_back(entry.path());
  return found;
}

Millis modified_ms(const struct stat& status) {
  return Millis(status.st_mtim.tv_sec) * 1000 + status.st_mtim.tv_nsec / 1'000'000;
}

class DirectoryBlobs;

class DirectoryUpload final : public Upload {
 public:
  DirectoryUpload(DirectoryBlobs& blobs, std::string tenant, fs::path file);
  ~DirectoryUpload() override;
  Result<void> write(std::string_view bytes) override;
  std::uint64_t size() const override { return size_; }
  const fs::path& file() const override { return file_; }
  Result<Blob> commit(std::string_view expected_sha256) override;

 private:
  DirectoryBlobs& blobs_;
  std::string tenant_;
  fs::path file_;
  Fd fd_;
  Sha256 sha_;
  std::uint64_t size_ = 0;
  std::uint64_t check_at_ = kCheckSpaceEvery;
  bool full_ = false;
  bool ended_ = false;
};

class DirectoryBlobs final : public Blobs {
 public:
  DirectoryBlobs(fs::path directory, std::uint64_t reserve) : directory_(std::move(directory)), reserve_(reserve) {
    make_private_directory(directory_);
    lock_ = try_lock_file(directory_ / "lock");
    if (!lock_)
      throw std::system_error(EBUSY, std::generic_category(), "another hub keeps its files in " + directory_.string());
    fs::remove_all(directory_ / "tmp");
    make_private_directory(directory_ / "tmp");
    make_private_directory(directory_ / "tenants");
    sync_directory(directory_);
    settle();
  }

  Result<std::unique_ptr<Upload>> begin(std::string_view tenant, std::uint64_t announced) override {
    if (!model::is_name(tenant)) return fail(Code::badValue, "this cannot be a tenant's name", "/tenant");
    if (!has_room_for(announced)) return full();
    return std::unique_ptr<Upload>(
        std::make_unique<DirectoryUpload>(*this, std::string(tenant), directory_ / "tmp" / random_hex(16)));
  }

  Result<OpenBlob> open(std::string_view tenant, std::string_view sha256) override {
    const auto absent = [] { return fail(Code::unknownFile, "there is no such file"); };
    if (!valid(tenant, sha256)) return absent();
    const auto path = path_of(tenant, sha256);
    OpenBlob blob{Fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC))};
    if (!blob.fd && errno == ENOENT) return absent();
    struct stat status {};
    if (!blob.fd || ::fstat(blob.fd.get(), &status) != 0) throw_errno("open " + path.string());
    blob.size = std::uint64_t(status.st_size);
    return blob;
  }

  std::optional<Blob> find(std::string_view tenant, std::string_view sha256) override {
    if (!valid(tenant, sha256)) return std::nullopt;
    const auto path = path_of(tenant, sha256);
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0) return Blob{std::string(sha256), std::uint64_t(status.st_size)};
    if (errno == ENOENT) return std::nullopt;
    throw_errno("look at " + path.string());
  }

  bool remove(std::string_view tenant, std::string_view sha256) override {
    return valid(tenant, sha256) && unlink_file(path_of(tenant, sha256));
  }

  std::size_t sweep(Millis before, const Keep& keep) override {
    std::size_t removed = 0;
    for (const auto& tenant : directories_in(directory_ / "tenants"))
      for (const auto& shelf : directories_in(tenant))
        for (const auto& file : fs::directory_iterator(shelf))
          if (sweep_one(tenant.filename().string(), file.path(), before, keep)) ++removed;
    return removed;
  }

  Space space() override {
    // A file system that is no longer mounted leaves an empty directory behind.
    if (::access((directory_ / "tmp").c_str(), W_OK | X_OK) != 0) throw_errno("look into " + directory_.string());
    struct statvfs status {};
    if (::statvfs(directory_.c_str(), &status) != 0) throw_errno("ask for free space in " + directory_.string());
    return {std::uint64_t(status.f_bavail) * status.f_frsize, std::uint64_t(status.f_blocks) * status.f_frsize};
  }

  fs::path place() const override { return directory_; }

  bool has_room_for(std::uint64_t bytes) {
    const auto free = space().free_bytes;
    return free >= reserve_ && free - reserve_ >= bytes;
  }

  // Moves a synced file to its place, replacing an existing copy of the blob, and makes that durable.
  void take_in(const fs::path& file, std::string_view tenant, std::string_view sha256) {
    const auto path = path_of(tenant, sha256);
    make_shelf(path.parent_path());
    {
      const std::lock_guard lock(removing_);
      if (::rename(file.c_str(), path.c_str()) != 0) throw_errno("rename to " + path.string());
    }
    sync_directory(path.parent_path());
  }

 private:
  // An earlier life may have been killed between a rename and the sync of its directory. What is found now will be
  // relied on, so it is made durable first. For a directory that is already on disk this takes microseconds.
  void settle() const {
    for (const auto& tenant : directories_in(directory_ / "tenants")) {
      for (const auto& shelf : directories_in(tenant)) sync_directory(shelf);
      sync_directory(tenant);
    }
    sync_directory(directory_ / "tenants");
  }

  static bool valid(std::string_view tenant, std::string_view sha256) {
    return model::is_name(tenant) && is_sha256_hex(sha256);
  }

  fs::path path_of(std::string_view tenant, std::string_view sha256) const {
    return directory_ / "tenants" / tenant / sha256.substr(0, 2) / sha256;
  }

  void make_shelf(const fs::path& shelf) {
    if (fs::is_directory(shelf)) return;
    make_private_directory(shelf.parent_path());
    make_private_directory(shelf);
    sync_directory(shelf.parent_path());
    sync_directory(directory_ / "tenants");
  }

  bool unlink_file(const fs::path& path) {
    if (::unlink(path.c_str()) == 0) return true;
    if (errno == ENOENT) return false;
    throw_errno("remove " + path.string());
  }

  static bool older(const fs::path& file, Millis before) {
    struct stat status {};
    return ::lstat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) && modified_ms(status) < before;
  }

  bool sweep_one(const std::string& tenant, const fs::path& file, Millis before, const Keep& keep) {
    const auto sha256 = file.filename().string();
    if (!valid(tenant, sha256) || !older(file, before) || keep(tenant, sha256)) return false;
    const std::lock_guard lock(removing_);
    return older(file, before) && unlink_file(file);  // it may have been committed again in the meantime
  }

  const fs::path directory_;
  const std::uint64_t reserve_;
  Fd lock_;
  std::mutex removing_;  // no commits between the last check of a blob's age and its removal
};

DirectoryUpload::DirectoryUpload(DirectoryBlobs& blobs, std::string tenant, fs::path file)
    : blobs_(blobs), tenant_(std::move(tenant)), file_(std::move(file)) {
  fd_ = Fd(::open(file_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd_) throw_errno("create " + file_.string());
}

DirectoryUpload::~DirectoryUpload() {
  if (!ended_) ::unlink(file_.c_str());
}

Result<void> DirectoryUpload::write(std::string_view bytes) {
  assert(!ended_);
  if (full_) return full();
  if (size_ + bytes.size() >= check_at_) {
    check_at_ = size_ + bytes.size() + kCheckSpaceEvery;
    full_ = !blobs_.has_room_for(bytes.size());
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

Result<Blob> DirectoryUpload::commit(std::string_view expected_sha256) {
  assert(!ended_);
  if (full_) return full();
  Blob blob{sha_.hex(), size_};
  if (!expected_sha256.empty() && expected_sha256 != blob.sha256)
    return fail(Code::badValue, "the content's SHA-256 is " + blob.sha256 + ", not the one that was announced");
  if (::futimens(fd_.get(), nullptr) != 0 || ::fsync(fd_.get()) != 0) throw_errno("sync " + file_.string());
  blobs_.take_in(file_, tenant_, blob.sha256);
  ended_ = true;
  return blob;
}

}  // namespace

std::unique_ptr<Blobs> open_directory_blobs(const fs::path& directory, std::uint64_t reserve) {
  return std::make_unique<DirectoryBlobs>(directory, reserve);
}

}  // namespace geres::hub::packages
