// SPDX-License-Identifier: Apache-2.0
#include "host/cached_kinds.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/json.h"
#include "base/sha256.h"
#include "base/uuid.h"
#include "host/workspace.h"
#include "package/digest.h"

namespace geres::host {
namespace {

namespace fs = std::filesystem;

struct TreeRecord {
  std::int64_t files = 0;
  std::int64_t bytes = 0;
  std::string digest;  // over the sorted list of name, mode and SHA-256 of each file
  bool operator==(const TreeRecord&) const = default;
};
BOOST_DESCRIBE_STRUCT(TreeRecord, (), (files, bytes, digest))

fs::path record_path(const fs::path& entry) {
  return entry.string() + ".json";
}

TreeRecord record_of(const fs::path& tree) {
  TreeRecord record;
  std::vector<std::string> lines;
  for (const auto& item : fs::recursive_directory_iterator(tree)) {
    const auto name = item.path().lexically_relative(tree).native();
    const bool executable = (item.symlink_status().permissions() & fs::perms::owner_exec) != fs::perms::none;
    if (item.is_symlink() || !item.is_regular_file()) {
      lines.push_back(name + (item.is_directory() && !item.is_symlink() ? "\ndirectory" : "\nstrange"));
      continue;
    }
    ++record.files;
    record.bytes += std::int64_t(item.file_size());
    lines.push_back(name + (executable ? "\nx " : "\n- ") + package::sha256_of_file(item.path()));
  }
  std::sort(lines.begin(), lines.end());
  Sha256 digest;
  for (const auto& line : lines) digest.update(line + "\n\n");
  record.digest = digest.hex();
  return record;
}

void make_read_only(const fs::path& tree) {
  std::vector<fs::path> directories{tree};
  for (const auto& item : fs::recursive_directory_iterator(tree)) {
    if (item.is_directory()) {
      directories.push_back(item.path());
      continue;
    }
    const bool executable = (item.status().permissions() & fs::perms::owner_exec) != fs::perms::none;
    ::chmod(item.path().c_str(), executable ? 0555 : 0444);
  }
  for (const auto& directory : directories) ::chmod(directory.c_str(), 0555);
}

void write_plainly(const fs::path& path, std::string_view text) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) throw std::system_error(errno, std::generic_category(), "create " + path.string());
  write_all(file.get(), text);
}

Result<std::int64_t> install_package(const fs::path& file, const fs::path& target, const package::Limits& limits) {
  const fs::path beside = target.parent_path() / (".tmp-" + random_hex(8));
  try {
    if (auto unpacked = package::unpack(file, beside, limits); !unpacked) return unpacked.error();
    const TreeRecord record = record_of(beside);
    make_read_only(beside);
    write_plainly(record_path(target), json::write_text(record));
    fs::rename(beside, target);
    return record.bytes;
  } catch (...) {
    remove_tree(beside);
    throw;
  }
}

std::optional<std::int64_t> check_package(const fs::path& entry) {
  const auto text = read_file_if(record_path(entry));
  if (!text) return std::nullopt;
  const auto recorded = json::read_text<TreeRecord>(*text);
  if (!recorded || record_of(entry) != *recorded) return std::nullopt;
  return recorded->bytes;
}

Result<std::int64_t> install_input(const fs::path& file, const fs::path& target) {
  const auto bytes = std::int64_t(fs::file_size(file));
  fs::rename(file, target);
  return bytes;
}

std::optional<std::int64_t> check_input(const fs::path& entry) {
  if (fs::is_symlink(entry) || !fs::is_regular_file(entry)) return std::nullopt;
  if (package::sha256_of_file(entry) != entry.filename()) return std::nullopt;
  return std::int64_t(fs::file_size(entry));
}

// Size, times and place of each file.
std::string stamp_of(const fs::path& entry) {
  std::vector<std::string> lines;
  const auto add = [&](const fs::path& path) {
    struct stat facts {};
    if (::lstat(path.c_str(), &facts) != 0) throw std::system_error(errno, std::generic_category(), path.string());
    std::string line = path.lexically_relative(entry).native();
    for (const std::int64_t number :
         {std::int64_t(facts.st_ino), std::int64_t(facts.st_mode), std::int64_t(facts.st_size),
          std::int64_t(facts.st_mtim.tv_sec), std::int64_t(facts.st_mtim.tv_nsec), std::int64_t(facts.st_ctim.tv_sec),
          std::int64_t(facts.st_ctim.tv_nsec)})
      line += "\n" + std::to_string(number);
    lines.push_back(std::move(line));
  };
  add(entry);
  if (fs::is_directory(entry))
    for (const auto& item : fs::recursive_directory_iterator(entry)) add(item.path());
  std::sort(lines.begin(), lines.end());
  Sha256 digest;
  for (const auto& line : lines) digest.update(line + "\n\n");
  return digest.hex();
}

}  // namespace

ContentCache::Kind package_kind(const package::Limits& limits) {
  return {"package",
          [limits](const fs::path& file, const fs::path& target) { return install_package(file, target, limits); },
          [](const fs::path& entry) { return check_package(entry); }, stamp_of,
          [](const fs::path& entry) { ::unlink(record_path(entry).c_str()); }};
}

ContentCache::Kind input_kind() {
  return {"input file", [](const fs::path& file, const fs::path& target) { return install_input(file, target); },
          [](const fs::path& entry) { return check_input(entry); }, stamp_of, [](const fs::path&) {}};
}

}  // namespace geres::host
