// SPDX-License-Identifier: Apache-2.0
#include "hub/packages/directory_blobs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <system_error>
#include <vector>

#include "base/sha256.h"
#include "hub/packages/gathering.h"
#include "model/names.h"

namespace geres::hub::packages {
namespace {

namespace fs = std::filesystem;

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
  DirectoryUpload(DirectoryBlobs& blobs, const Gathering& gathering, std::string tenant)
      : blobs_(blobs), tenant_(std::move(tenant)), file_(gathering) {}
  Result<void> write(std::string_view bytes) override { return file_.write(bytes); }
  std::uint64_t size() const override { return file_.size(); }
  const fs::path& file() const override { return file_.path(); }
  Result<Blob> commit(std::string_view expected_sha256) override;

 private:
  DirectoryBlobs& blobs_;
  const std::string tenant_;
  GatheredFile file_;
};

class DirectoryBlobs final : public Blobs {
 public:
  DirectoryBlobs(const fs::path& directory, std::uint64_t reserve, const Named& named)
      : directory_(directory), lock_(lock(directory)), gathering_(directory / "tmp", reserve), named_(named) {
    make_private_directory(directory_ / "tenants");
    sync_directory(directory_);
    settle();
  }

  Result<std::unique_ptr<Upload>> begin(std::string_view tenant, std::uint64_t announced) override {
    if (!model::is_name(tenant)) return fail(Code::badValue, "this cannot be a tenant's name", "/tenant");
    if (!gathering_.has_room_for(announced)) return full();
    return std::unique_ptr<Upload>(std::make_unique<DirectoryUpload>(*this, gathering_, std::string(tenant)));
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

  std::vector<std::optional<Blob>> find(std::string_view tenant, std::span<const std::string> digests) override {
    std::vector<std::optional<Blob>> found;
    for (const auto& sha256 : digests) found.push_back(find_one(tenant, sha256));
    return found;
  }

  std::optional<Blob> find_one(std::string_view tenant, std::string_view sha256) const {
    if (!valid(tenant, sha256)) return std::nullopt;
    const auto path = path_of(tenant, sha256);
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0) return Blob{std::string(sha256), std::uint64_t(status.st_size)};
    if (errno == ENOENT) return std::nullopt;
    throw_errno("look at " + path.string());
  }

  std::size_t sweep(Millis before) override {
    std::size_t removed = 0;
    for (const auto& tenant : directories_in(directory_ / "tenants"))
      for (const auto& shelf : directories_in(tenant))
        for (const auto& file : fs::directory_iterator(shelf))
          if (sweep_one(tenant.filename().string(), file.path(), before)) ++removed;
    return removed;
  }

  Space space() override { return gathering_.space(); }

  fs::path place() const override { return directory_; }

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

  bool sweep_one(const std::string& tenant, const fs::path& file, Millis before) {
    const auto sha256 = file.filename().string();
    if (!valid(tenant, sha256) || !older(file, before) || named_(tenant, sha256)) return false;
    const std::lock_guard lock(removing_);
    return older(file, before) && unlink_file(file);  // it may have been committed again in the meantime
  }

  static Fd lock(const fs::path& directory) {
    make_private_directory(directory);
    auto lock = try_lock_file(directory / "lock");
    if (!lock)
      throw std::system_error(EBUSY, std::generic_category(), "another hub keeps its files in " + directory.string());
    return lock;
  }

  const fs::path directory_;
  const Fd lock_;
  const Gathering gathering_;
  const Named named_;
  std::mutex removing_;  // no commits between the last check of a blob's age and its removal
};

Result<Blob> DirectoryUpload::commit(std::string_view expected_sha256) {
  auto blob = file_.end(expected_sha256);
  if (!blob) return blob;
  file_.sync();
  blobs_.take_in(file_.path(), tenant_, blob->sha256);
  file_.keep();
  return blob;
}

}  // namespace

std::unique_ptr<Blobs> open_directory_blobs(const fs::path& directory, const Named& named, std::uint64_t reserve) {
  return std::make_unique<DirectoryBlobs>(directory, reserve, named);
}

}  // namespace geres::hub::packages
