// SPDX-License-Identifier: Apache-2.0
#include "cli/output_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>

#include "base/sha256.h"
#include "cli/text.h"
#include "cli/trouble.h"
#include "model/names.h"

namespace geres::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

std::string shown(const fs::path& directory, const std::string& path) {
  return "'" + escaped_name((directory / path).string()) + "'";
}

[[noreturn]] void in_the_way(const fs::path& directory, const std::string& path, mode_t mode) {
  const std::string what = S_ISLNK(mode) ? " is a link" : S_ISDIR(mode) ? " is a directory" : " is not a directory";
  throw Trouble{kFailed, shown(directory, path) + what + ", in the way of a file of the job",
                "files are never written through links or over directories", "--out DIR, another one"};
}

// Opens the directory that contains a path; an empty Fd if a part is absent.
Fd parent_of(const Fd& root, const fs::path& directory, const std::string& path, bool make) {
  Fd at(::openat(root.get(), ".", kDirectoryFlags));
  for (auto start = std::string::size_type{0}, end = path.find('/'); end != path.npos;
       start = end + 1, end = path.find('/', start)) {
    const std::string part = path.substr(start, end - start);
    if (make && ::mkdirat(at.get(), part.c_str(), 0755) != 0 && errno != EEXIST)
      throw std::system_error(errno, std::generic_category(), shown(directory, path.substr(0, end)));
    Fd below(::openat(at.get(), part.c_str(), kDirectoryFlags));
    if (!below && errno == ENOENT) return Fd();
    if (!below) {
      const int error = errno;
      struct stat facts {};
      if (::fstatat(at.get(), part.c_str(), &facts, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(facts.st_mode))
        in_the_way(directory, path.substr(0, end), facts.st_mode);
      throw std::system_error(error, std::generic_category(), shown(directory, path.substr(0, end)));
    }
    at = std::move(below);
  }
  return at;
}

std::string leaf_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

bool has_content(int directory, const std::string& name, const std::string& sha256) {
  const Fd fd(::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  Sha256 digest;
  char buffer[65536];
  ssize_t got = -1;
  while (fd && (got = ::read(fd.get(), buffer, sizeof buffer)) > 0) digest.update({buffer, std::size_t(got)});
  return got == 0 && digest.hex() == sha256;
}

}  // namespace

OutputDirectory::OutputDirectory(fs::path directory) : directory_(std::move(directory)) {
  std::error_code error;
  fs::create_directories(directory_, error);
  if (!error) root_ = Fd(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (error || !root_ || ::access(directory_.c_str(), W_OK) != 0)
    cannot("the directory '" + directory_.string() + "' cannot be written",
           error ? error.message() : std::string(std::generic_category().message(errno)), "--out DIR, one of your own",
           "--out");
}

OutputDirectory::There OutputDirectory::look(const Wanted& file) const {
  if (!model::check_relative_path(file.path, ""))
    throw Trouble{
        kFailed,
        "the hub names a file '" + escaped_name(file.path) + "', which would not lie in " + directory_.string(),
        "it was left alone"};
  const Fd parent = parent_of(root_, directory_, file.path, false);
  struct stat facts {};
  if (!parent) return There::nothing;
  if (::fstatat(parent.get(), leaf_of(file.path).c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return There::nothing;
    throw std::system_error(errno, std::generic_category(), shown(directory_, file.path));
  }
  if (S_ISDIR(facts.st_mode)) in_the_way(directory_, file.path, facts.st_mode);
  const bool same = S_ISREG(facts.st_mode) && (file.size < 0 || facts.st_size == file.size) && !file.sha256.empty() &&
                    has_content(parent.get(), leaf_of(file.path), file.sha256);
  return same ? There::same : There::other;
}

std::unique_ptr<NewFile> OutputDirectory::begin(const std::string& path) const {
  return std::make_unique<NewFile>(parent_of(root_, directory_, path, true), leaf_of(path), directory_ / path);
}

}  // namespace geres::cli
