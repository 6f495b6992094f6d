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
#include "base/new_file.h"
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
    return fail(Code::badPackage, "'" + shown(name) + "' is a symbolic link; a package has plain files only", {},
                std::string(kNoLinksHint));
  if (!file.fd && errno == ENXIO) return bad("'" + shown(name) + "' is a special file; a package has plain files only");
  if (!file.fd) throw_errno("open " + name);
  if (::fstat(file.fd.get(), &file.status) != 0) throw_errno("look at " + name);
  if (!S_ISREG(file.status.st_mode) && !S_ISDIR(file.status.st_mode))
    return bad("'" + shown(name) + "' is a special file; a package has plain files only");
  return file;
}

// Gathers the names below a directory, those of empty directories with a "/" behind. Descriptors are held for the path
// down to where it is, no more.
class Gather {
 public:
  Gather(const Limits& limits, std::vector<std::string>& names, const struct stat& zip)
      : limits_(limits), names_(names), zip_(zip) {}

  Result<void> run(Fd directory, const std::string& prefix) {
    const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(directory.get()), &::closedir);
    if (!listing) throw_errno("list " + prefix);
    const int fd = directory.release();
    bool empty = true;
    for (;;) {
      errno = 0;
      const auto* entry = ::readdir(listing.get());
      if (entry == nullptr && errno != 0) throw_errno("list " + prefix);
      if (entry == nullptr) return empty && !prefix.empty() ? keep(prefix) : Result<void>();
      const std::string leaf = entry->d_name;
      if (leaf == "." || leaf == "..") continue;
      empty = false;
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
    return keep(name);
  }

  Result<void> keep(const std::string& name) {
    if (names_.size() >= limits_.entries)
      return bad("there are more than " + std::to_string(limits_.entries) + " files");
    names_.push_back(name);
    return {};
  }

  const Limits& limits_;
  std::vector<std::string>& names_;
  const struct stat& zip_;
};

class Pack {
 public:
  Pack(const Limits& limits, int root, int zip) : limits_(limits), root_(root), writer_(zip), names_(limits) {}

  Result<void> add(const Item& item) {
    if (summary_.files.size() >= limits_.entries)
      return bad("there are more than " + std::to_string(limits_.entries) + " files");
    if (item.name.ends_with('/')) return add_directory(item.name.substr(0, item.name.size() - 1));
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

  Result<void> add_directory(const std::string& name) {
    if (auto added = names_.add_directory(name); !added) return added.error();
    writer_.add_directory(name);
    return {};
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
    // To its end, whatever size it says: files of /proc say 0, and others grow or shrink meanwhile.
    char buffer[65536];
    Result<void> counted;
    writer_.add(item.name, (file->status.st_mode & 0111) != 0, [&]() -> std::string_view {
      for (;;) {
        const ssize_t got = ::read(file->fd.get(), buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw_errno("read " + item.name);
        if (counted = count(std::uint64_t(got)); !counted) return {};
        return {buffer, std::size_t(got)};
      }
    });
    return counted;
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
  file.put();
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
  if (std::all_of(names.begin(), names.end(), [](const auto& name) { return name.ends_with('/'); }))
    return bad("the directory is empty");
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
