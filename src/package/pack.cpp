// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>

#include "base/duration.h"
#include "base/file.h"
#include "base/uuid.h"
#include "package/archive.h"
#include "package/digest.h"
#include "package/names.h"
#include "package/zip_writer.h"

namespace geres::package {
namespace {

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

Error bad(std::string why) {
  return fail(Code::badPackage, std::move(why));
}

// A file to be packed, opened so that no link is followed.
struct Opened {
  Fd fd;
  struct stat status {};
};

Result<Opened> open_plain(int directory, const std::string& path, const std::string& name) {
  Opened file{Fd(::openat(directory, path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC))};
  if (!file.fd && errno == ELOOP)
    return bad("'" + shown(name) + "' is a symbolic link; a package has plain files only");
  if (!file.fd && errno == ENXIO) return bad("'" + shown(name) + "' is a special file; a package has plain files only");
  if (!file.fd) throw_errno("open " + name);
  if (::fstat(file.fd.get(), &file.status) != 0) throw_errno("look at " + name);
  if (!S_ISREG(file.status.st_mode) && !S_ISDIR(file.status.st_mode))
    return bad("'" + shown(name) + "' is a special file; a package has plain files only");
  return file;
}

// Gathers the names below a directory. Descriptors are held for the path down to where it is, no more.
class Gather {
 public:
  Gather(const Limits& limits, std::vector<std::string>& names, const struct stat& zip)
      : limits_(limits), names_(names), zip_(zip) {}

  Result<void> run(Fd directory, const std::string& prefix) {
    const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(directory.get()), &::closedir);
    if (!listing) throw_errno("list " + prefix);
    const int fd = directory.release();
    for (;;) {
      errno = 0;
      const auto* entry = ::readdir(listing.get());
      if (entry == nullptr && errno != 0) throw_errno("list " + prefix);
      if (entry == nullptr) return {};
      const std::string leaf = entry->d_name;
      if (leaf == "." || leaf == "..") continue;
      if (auto taken = take(fd, leaf, prefix + leaf); !taken) return taken.error();
    }
  }

 private:
  Result<void> take(int directory, const std::string& leaf, const std::string& name) {
    if (auto checked = checked_name(name, limits_); !checked) return checked.error();
    auto file = open_plain(directory, leaf, name);
    if (!file) return file.error();
    if (S_ISDIR(file->status.st_mode)) return run(std::move(file->fd), name + "/");
    if (file->status.st_dev == zip_.st_dev && file->status.st_ino == zip_.st_ino) return {};  // not into itself
    if (names_.size() >= limits_.entries)
      return bad("there are more than " + std::to_string(limits_.entries) + " files");
    names_.push_back(name);
    return {};
  }

  const Limits& limits_;
  std::vector<std::string>& names_;
  const struct stat& zip_;
};

// The ZIP grows beside its place and is renamed there at the end.
class NewFile {
 public:
  explicit NewFile(const std::filesystem::path& path)
      : path_(path), beside_(path.string() + "." + random_hex(6) + ".tmp") {
    fd_ = Fd(::open(beside_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!fd_) throw_errno("create " + beside_.string());
  }
  ~NewFile() {
    if (!beside_.empty()) ::unlink(beside_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  int fd() const { return fd_.get(); }
  void keep() {
    if (::rename(beside_.c_str(), path_.c_str()) != 0) throw_errno("rename to " + path_.string());
    beside_.clear();
  }

 private:
  std::filesystem::path path_;
  std::filesystem::path beside_;
  Fd fd_;
};

class Pack {
 public:
  Pack(const Limits& limits, int root, int zip) : limits_(limits), root_(root), writer_(zip), names_(limits) {}

  Result<void> add(const Item& item) {
    if (summary_.files.size() >= limits_.entries)
      return bad("there are more than " + std::to_string(limits_.entries) + " files");
    if (auto added = names_.add_file(item.name); !added) return added.error();
    summary_.files.push_back(item.name);
    return item.content ? add_content(item) : add_file(item);
  }

  PackSummary finish() {
    writer_.finish();
    summary_.zip_bytes = writer_.size();
    return std::move(summary_);
  }

 private:
  Result<void> count(std::uint64_t bytes) {
    summary_.bytes += bytes;
    if (summary_.bytes <= limits_.bytes) return {};
    return bad("the files take more than " + format_size(std::int64_t(limits_.bytes)));
  }

  Result<void> add_content(const Item& item) {
    std::string_view rest = *item.content;
    if (auto counted = count(rest.size()); !counted) return counted.error();
    writer_.add(item.name, item.content->starts_with("#!"), [&rest] { return std::exchange(rest, {}); });
    return {};
  }

  Result<void> add_file(const Item& item) {
    auto file = open_plain(root_, item.file.string(), item.name);
    if (!file) return file.error();
    if (!S_ISREG(file->status.st_mode)) return bad("'" + shown(item.name) + "' is a directory");
    if (auto counted = count(std::uint64_t(file->status.st_size)); !counted) return counted.error();
    char buffer[65536];
    auto left = std::uint64_t(file->status.st_size);
    writer_.add(item.name, (file->status.st_mode & 0111) != 0, [&]() -> std::string_view {
      for (;;) {
        const ssize_t got = ::read(file->fd.get(), buffer, std::size_t(std::min<std::uint64_t>(left, sizeof buffer)));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw_errno("read " + item.name);
        left -= std::uint64_t(got);
        return {buffer, std::size_t(got)};
      }
    });
    return {};
  }

  const Limits& limits_;
  int root_;
  ZipWriter writer_;
  NameSet names_;
  PackSummary summary_;
};

Result<PackSummary> pack_from(int root, const std::vector<Item>& items, const std::filesystem::path& zip,
                              const Limits& limits) {
  NewFile file(zip);
  Pack pack(limits, root, file.fd());
  for (const auto& item : items)
    if (auto added = pack.add(item); !added) return added.error();
  auto summary = pack.finish();
  file.keep();
  summary.sha256 = sha256_of_file(zip);
  return summary;
}

}  // namespace

Result<PackSummary> pack(const std::filesystem::path& directory, const std::filesystem::path& zip,
                         const Limits& limits) {
  Fd root(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Fd again(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root || !again) throw_errno("open directory " + directory.string());
  struct stat old_zip {};
  if (::stat(zip.c_str(), &old_zip) != 0) old_zip = {};
  std::vector<std::string> names;
  if (auto gathered = Gather(limits, names, old_zip).run(std::move(again), ""); !gathered) return gathered.error();
  if (names.empty()) return bad("the directory is empty");
  std::sort(names.begin(), names.end());
  std::vector<Item> items;
  for (auto& name : names) items.push_back({name, name, std::nullopt});
  return pack_from(root.get(), items, zip, limits);
}

Result<PackSummary> pack_items(std::vector<Item> items, const std::filesystem::path& zip, const Limits& limits) {
  for (auto& item : items) {
    auto name = checked_name(item.name, limits);
    if (!name) return name.error();
    if (name->empty() || item.name.ends_with('/')) return bad("'" + shown(item.name) + "' is not a file's name");
    item.name = std::move(*name);
  }
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.name < b.name; });
  return pack_from(AT_FDCWD, items, zip, limits);
}

}  // namespace geres::package
