// SPDX-License-Identifier: Apache-2.0
#include "host/workspace.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <system_error>

#include "base/file.h"
#include "base/uuid.h"

namespace geres::host {
namespace {

constexpr std::size_t kSpareMax = 64;  // of one user

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

void make_directory(const std::filesystem::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0) throw_errno("make directory " + path.string());
}

void give(const std::filesystem::path& path, const JobUser& owner) {
  if (owner.uid == 0) return;
  if (::lchown(path.c_str(), owner.uid, owner.gid) != 0) throw_errno("change the owner of " + path.string());
}

void copy_bytes(int from, int to, std::int64_t left) {
  if (::ioctl(to, FICLONE, from) == 0) return;
  while (left > 0) {
    const ssize_t copied = ::copy_file_range(from, nullptr, to, nullptr, std::size_t(left), 0);
    if (copied <= 0) break;
    left -= copied;
  }
  char buffer[65536];
  while (left > 0) {  // a file system that knows no copy_file_range
    const ssize_t got = ::read(from, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("read");
    if (got == 0) return;
    write_all(to, {buffer, std::size_t(got)});
    left -= got;
  }
}

// Every part a plain name.
bool stays_inside(const std::filesystem::path& path) {
  if (path.empty() || path.is_absolute() || !path.has_filename()) return false;
  for (const auto& part : path)
    if (part == "." || part == ".." || part.empty()) return false;
  return true;
}

void make_parents(const Workspace& workspace, const std::filesystem::path& path, const JobUser& user) {
  std::filesystem::path at = workspace.work();
  for (const auto& part : path.parent_path()) {
    at /= part;
    if (::mkdir(at.c_str(), 0755) == 0)
      give(at, user);
    else if (errno != EEXIST)
      throw_errno("make directory " + at.string());
  }
}

bool is_own_directory(const std::filesystem::path& path, std::uint32_t uid) {
  struct stat facts {};
  return ::lstat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode) && facts.st_uid == uid;
}

// Removes all in `directory` but `kept`.
bool empty_but_for(const std::filesystem::path& directory, std::initializer_list<std::string_view> kept) {
  bool done = true;
  for (const auto& item : std::filesystem::directory_iterator(directory))
    if (std::find(kept.begin(), kept.end(), item.path().filename().native()) == kept.end())
      done = remove_tree(item.path()) && done;
  return done;
}

// A job that shares our user could have put anything in place of its job.json.
bool is_plain_file(const std::filesystem::path& path) {
  struct stat facts {};
  return ::lstat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_nlink == 1 &&
         facts.st_uid == ::geteuid();
}

// Empties a workspace. False if it has become something else than the directories that were made.
bool as_made(const Workspace& workspace, const JobUser& user) {
  const std::uint32_t uid = user.uid != 0 ? user.uid : ::geteuid();
  if (!is_own_directory(workspace.root, ::geteuid()) || !is_plain_file(workspace.job_file())) return false;
  for (const auto& path : {workspace.job(), workspace.work(), workspace.output(), workspace.temporary()})
    if (!is_own_directory(path, uid) || ::chmod(path.c_str(), 0700) != 0) return false;
  return empty_but_for(workspace.root, {"job", "job.json"}) && empty_but_for(workspace.job(), {"work", "out", "tmp"}) &&
         empty_but_for(workspace.work(), {}) && empty_but_for(workspace.output(), {}) &&
         empty_but_for(workspace.temporary(), {}) && ::truncate(workspace.job_file().c_str(), 0) == 0;
}

}  // namespace

std::filesystem::path Workspaces::start() {
  std::filesystem::path leftovers;
  if (std::filesystem::exists(std::filesystem::symlink_status(directory_))) {
    leftovers = directory_.string() + ".old." + random_hex(4);
    std::filesystem::rename(directory_, leftovers);
  }
  make_directory(directory_, 0711);
  return leftovers;
}

Workspace Workspaces::make_directories(const JobUser& user) {
  Workspace workspace{directory_ / std::to_string(next_++)};
  make_directory(workspace.root, 0710);
  if (user.uid != 0 && ::chown(workspace.root.c_str(), 0, user.gid) != 0) throw_errno("change a directory's group");
  for (const auto& path : {workspace.job(), workspace.work(), workspace.output(), workspace.temporary()}) {
    make_directory(path, 0700);
    give(path, user);
  }
  return workspace;
}

bool Workspaces::take_spare(const JobUser& user, Workspace& workspace) {
  const std::lock_guard lock(mutex_);
  auto& spare = spare_[user.uid];
  if (spare.empty()) return false;
  workspace = std::move(spare.back());
  spare.pop_back();
  return true;
}

Workspace Workspaces::make(const JobUser& user, std::string_view job_text) {
  Workspace workspace;
  if (!take_spare(user, workspace)) workspace = make_directories(user);
  // Not truncated when opened: giving blocks back and taking new ones is the slow part.
  const Fd file(::open(workspace.job_file().c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640));
  if (!file) throw_errno("create " + workspace.job_file().string());
  write_all(file.get(), job_text);
  if (::ftruncate(file.get(), off_t(job_text.size())) != 0) throw_errno("cut " + workspace.job_file().string());
  if (user.uid != 0 && ::fchown(file.get(), 0, user.gid) != 0) throw_errno("change a file's group");
  return workspace;
}

void Workspaces::give_back(const Workspace& workspace, const JobUser& user) noexcept {
  try {
    if (as_made(workspace, user)) {
      const std::lock_guard lock(mutex_);
      auto& spare = spare_[user.uid];
      if (spare.size() < kSpareMax) return spare.push_back(workspace);
    }
  } catch (const std::exception&) {  // then it is not as it was made
  }
  remove_tree(workspace.root);
}

Result<void> place_input(const Workspace& workspace, const std::string& path, const std::filesystem::path& file,
                         const JobUser& user) {
  if (!stays_inside(path)) return fail(Code::badValue, "input path '" + path + "' leaves the working directory");
  make_parents(workspace, path, user);
  const auto target = workspace.work() / path;
  const Fd from(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!from) throw_errno("open " + file.string());
  const Fd to(::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!to && (errno == EEXIST || errno == ENOTDIR || errno == EISDIR || errno == ENAMETOOLONG))
    return fail(Code::badValue, "input path '" + path + "' cannot be made: another input is in its way");
  if (!to) throw_errno("create " + target.string());
  struct stat facts {};
  if (::fstat(from.get(), &facts) != 0) throw_errno("stat " + file.string());
  copy_bytes(from.get(), to.get(), facts.st_size);
  give(target, user);
  return {};
}

}  // namespace geres::host
