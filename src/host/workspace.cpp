// SPDX-License-Identifier: Apache-2.0
#include "host/workspace.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <system_error>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "base/uuid.h"

namespace geres::host {
namespace {

constexpr std::size_t kSpareMax = 64;  // per user

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY;
constexpr mode_t kClosed = 0700, kOpen = 0710;

// Makes a new directory, empty and ours.
Fd make_directory(int at, const std::string& name, mode_t mode) {
  if (::mkdirat(at, name.c_str(), mode) != 0) throw_errno("make directory " + name);
  Fd made = open_beneath(at, name, kDirectoryFlags);
  if (!made) throw_errno("open directory " + name);
  return made;
}

void give(const Fd& file, const JobUser& owner) {
  if (owner.uid == 0) return;
  if (::fchown(file.get(), owner.uid, owner.gid) != 0) throw_errno("change a file's owner");
}

void copy_bytes(int from, int to, std::int64_t left) {
  if (::ioctl(to, FICLONE, from) == 0) return;
  while (left > 0) {
    const ssize_t copied = ::copy_file_range(from, nullptr, to, nullptr, std::size_t(left), 0);
    if (copied <= 0) break;
    left -= copied;
  }
  char buffer[65536];
  while (left > 0) {  // the file system has no copy_file_range
    const ssize_t got = ::read(from, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("read");
    if (got == 0) return;
    write_all(to, {buffer, std::size_t(got)});
    left -= got;
  }
}

// Every part is a plain name.
bool stays_inside(const std::filesystem::path& path) {
  if (path.empty() || path.is_absolute() || !path.has_filename()) return false;
  for (const auto& part : path)
    if (part == "." || part == ".." || part.empty()) return false;
  return true;
}

// Opens the directory that is to contain the file at `path`, and makes it and its parents. Empty with errno.
Fd make_parents(const Workspace& workspace, const std::filesystem::path& path, const JobUser& user) {
  Fd at = workspace.open("job/work", kDirectoryFlags);
  for (const auto& part : path.parent_path()) {
    if (!at) return at;
    const bool made = ::mkdirat(at.get(), part.c_str(), 0755) == 0;
    if (!made && errno != EEXIST) return Fd();
    at = open_beneath(at.get(), part.native(), kDirectoryFlags);
    if (at && made) give(at, user);
  }
  return at;
}

bool is_in_the_way(int error) {
  return error == EEXIST || error == ENOTDIR || error == EISDIR || error == ELOOP || error == ENAMETOOLONG;
}

// Opens a directory of that owner and closes it to others. Empty: it has become something else.
Fd own_directory(const Workspace& workspace, const std::string& path, std::uint32_t uid) {
  Fd directory = workspace.open(path, kDirectoryFlags);
  if (!directory) {  // the owner may have made it unreadable
    const Fd itself = workspace.open(path, O_PATH | O_DIRECTORY);
    struct stat facts {};
    if (!itself || ::fstat(itself.get(), &facts) != 0 || facts.st_uid != uid) return Fd();
    if (::chmod(("/proc/self/fd/" + std::to_string(itself.get())).c_str(), kClosed) != 0) return Fd();
    directory = Fd(::openat(itself.get(), ".", kDirectoryFlags | O_CLOEXEC));
  }
  struct stat facts {};
  if (!directory || ::fstat(directory.get(), &facts) != 0 || facts.st_uid != uid) return Fd();
  if (::fchmod(directory.get(), kClosed) != 0) return Fd();
  return directory;
}

// Removes everything in `directory` except `kept`.
bool empty_but_for(const Fd& directory, std::initializer_list<std::string_view> kept) {
  std::vector<std::string> names;
  DIR* const stream = ::fdopendir(::openat(directory.get(), ".", kDirectoryFlags | O_CLOEXEC));
  if (stream == nullptr) return false;
  while (const dirent* item = ::readdir(stream)) {
    const std::string_view name = item->d_name;
    if (name != "." && name != ".." && std::find(kept.begin(), kept.end(), name) == kept.end())
      names.emplace_back(name);
  }
  ::closedir(stream);
  bool done = true;
  for (const auto& name : names) done = remove_tree_at(directory.get(), name) && done;
  return done;
}

// A job that runs as our own user could have put anything in place of its job.json.
bool empty_job_file(const Workspace& workspace) {
  const Fd file = workspace.open("job.json", O_WRONLY | O_NONBLOCK);
  struct stat facts {};
  return file && ::fstat(file.get(), &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_nlink == 1 &&
         facts.st_uid == ::geteuid() && ::ftruncate(file.get(), 0) == 0;
}

// Empties a workspace. False if it is no longer made of the directories that we made.
bool make_as_new(const Workspace& workspace, const JobUser& user) {
  const std::uint32_t uid = user.uid != 0 ? user.uid : ::geteuid();
  const Fd job = own_directory(workspace, "job", uid);
  if (!job || !empty_job_file(workspace)) return false;
  for (const char* path : {"job/work", "job/out", "job/tmp"}) {
    const Fd directory = own_directory(workspace, path, uid);
    if (!directory || !empty_directory(directory.get())) return false;
  }
  return empty_but_for(*workspace.directory, {"job", "job.json"}) && empty_but_for(job, {"work", "out", "tmp"});
}

std::shared_ptr<const Fd> new_directory(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), 0711) != 0) throw_errno("make directory " + path.string());
  auto directory = std::make_shared<const Fd>(::open(path.c_str(), kDirectoryFlags | O_NOFOLLOW | O_CLOEXEC));
  if (!*directory) throw_errno("open directory " + path.string());
  return directory;
}

}  // namespace

std::filesystem::path Workspaces::start() {
  std::filesystem::path leftovers;
  if (std::filesystem::exists(std::filesystem::symlink_status(directory_))) {
    leftovers = directory_.string() + ".old." + random_hex(4);
    std::filesystem::rename(directory_, leftovers);
  }
  descriptor_ = new_directory(directory_);
  return leftovers;
}

std::shared_ptr<const Fd> Workspaces::descriptor() const {
  const std::lock_guard lock(mutex_);
  return descriptor_;
}

// True: the directory is in its place again. Attempts in one that was removed keep it by their descriptors.
bool Workspaces::make_anew() {
  const std::lock_guard lock(mutex_);
  struct stat held {};
  struct stat found {};
  if (::lstat(directory_.c_str(), &found) == 0)
    return ::fstat(descriptor_->get(), &held) == 0 && held.st_dev == found.st_dev && held.st_ino == found.st_ino;
  if (!std::filesystem::exists(lock_)) return false;
  descriptor_ = new_directory(directory_);
  spare_.clear();
  log::event(log::Level::warn, "directory was removed by somebody, and made anew",
             {{"directory", directory_.string()}});
  return true;
}

Workspace Workspaces::make_directories(const JobUser& user) {
  const auto name = std::to_string(next_++);
  Workspace workspace{directory_ / name,
                      std::make_shared<const Fd>(make_directory(descriptor()->get(), name, kClosed))};
  const Fd job = make_directory(workspace.directory->get(), "job", kClosed);
  for (const char* part : {"work", "out", "tmp"}) give(make_directory(job.get(), part, kClosed), user);
  give(job, user);
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
  try {
    return make_here(user, job_text);
  } catch (const std::system_error& trouble) {
    if (trouble.code().value() != ENOENT || !make_anew()) throw;
  }
  return make_here(user, job_text);
}

Workspace Workspaces::make_here(const JobUser& user, std::string_view job_text) {
  Workspace workspace;
  if (!take_spare(user, workspace)) workspace = make_directories(user);
  // Not truncated on opening, because freeing blocks and allocating new ones is the slow part.
  const Fd file = open_beneath(workspace.directory->get(), "job.json", O_WRONLY | O_CREAT, 0640);
  if (!file) throw_errno("create " + workspace.job_file().string());
  write_all(file.get(), job_text);
  if (::ftruncate(file.get(), off_t(job_text.size())) != 0) throw_errno("cut " + workspace.job_file().string());
  if (user.uid != 0 && ::fchown(file.get(), 0, user.gid) != 0) throw_errno("change a file's group");
  return workspace;
}

// Whether the workspace is still where it was made, and no other directory in its place.
bool Workspaces::is_in_place(const Workspace& workspace) const {
  struct stat held {};
  struct stat found {};
  return ::fstat(workspace.directory->get(), &held) == 0 &&
         ::fstatat(descriptor()->get(), workspace.root.filename().c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0 &&
         held.st_dev == found.st_dev && held.st_ino == found.st_ino;
}

void Workspaces::give_back(const Workspace& workspace, const JobUser& user) noexcept {
  try {
    if (close_to_job(workspace) && is_in_place(workspace) && make_as_new(workspace, user)) {
      const std::lock_guard lock(mutex_);
      auto& spare = spare_[user.uid];
      if (spare.size() < kSpareMax) return spare.push_back(workspace);
    }
  } catch (const std::exception&) {  // then it is not as it was made
  }
  discard(workspace);
}

void Workspaces::discard(const Workspace& workspace) noexcept {
  if (!workspace.directory) return;
  close_to_job(workspace);
  empty_directory(workspace.directory->get());
  remove_tree_at(descriptor()->get(), workspace.root.filename());
}

bool open_to_job(const Workspace& workspace, const JobUser& user) {
  if (user.uid == 0) return true;
  return ::fchown(workspace.directory->get(), 0, user.gid) == 0 && ::fchmod(workspace.directory->get(), kOpen) == 0;
}

bool close_to_job(const Workspace& workspace) {
  return ::fchmod(workspace.directory->get(), kClosed) == 0;
}

Result<void> place_input(const Workspace& workspace, const std::string& path, const std::filesystem::path& file,
                         const JobUser& user) {
  if (!stays_inside(path)) return fail(Code::badValue, "input path '" + path + "' leaves the working directory");
  const auto in_the_way = [&] {
    return fail(Code::badValue, "input path '" + path + "' cannot be made: another input is in its way");
  };
  const Fd from(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!from) throw_errno("open " + file.string());
  const Fd parent = make_parents(workspace, path, user);
  if (!parent && is_in_the_way(errno)) return in_the_way();
  if (!parent) throw_errno("make directories for " + path);
  const auto name = std::filesystem::path(path).filename().native();
  const Fd to(::openat(parent.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!to && is_in_the_way(errno)) return in_the_way();
  if (!to) throw_errno("create " + path);
  struct stat facts {};
  if (::fstat(from.get(), &facts) != 0) throw_errno("stat " + file.string());
  copy_bytes(from.get(), to.get(), facts.st_size);
  give(to, user);
  return {};
}

}  // namespace geres::host
