// SPDX-License-Identifier: Apache-2.0
#include "runner/view.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/file.h"

namespace geres::runner {
namespace {

namespace fs = std::filesystem;

std::string because(const std::string& what) {
  return what + ": " + std::strerror(errno);
}

// The topmost directory above `path` that only its owner may enter.
std::optional<fs::path> first_closed(const fs::path& path) {
  fs::path at;
  for (const auto& part : path.parent_path()) {
    at /= part;
    struct stat facts {};
    if (stat(at.c_str(), &facts) != 0 || (facts.st_mode & S_IXOTH) == 0) return at;
  }
  return std::nullopt;
}

bool bind(const Fd& what, const fs::path& where) {
  return mount(("/proc/self/fd/" + std::to_string(what.get())).c_str(), where.c_str(), nullptr, MS_BIND | MS_REC,
               nullptr) == 0;
}

// Makes an empty file or directory at `path`, with its parents, on which `what` can be mounted.
bool make_place(const fs::path& path, const Fd& what) {
  struct stat facts {};
  if (fstat(what.get(), &facts) != 0) return false;
  if (access(path.c_str(), F_OK) == 0) return true;
  std::error_code error;
  fs::create_directories(S_ISDIR(facts.st_mode) ? path : path.parent_path(), error);
  if (error) return errno = error.value(), false;
  if (S_ISDIR(facts.st_mode)) return true;
  return bool(Fd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0444)));
}

std::optional<std::string> make_reachable(const std::vector<std::string>& paths) {
  struct Kept {
    fs::path path;
    Fd itself;
  };
  std::vector<Kept> kept;
  std::set<fs::path> closed;
  for (const auto& name : paths) {
    std::error_code error;
    const fs::path path = fs::canonical(name, error);
    if (error) return errno = error.value(), because(name);
    const auto above = first_closed(path);
    if (!above) continue;
    if (*above == above->root_path()) return "the root directory lets nobody in";
    kept.push_back({path, Fd(open(path.c_str(), O_PATH | O_CLOEXEC))});
    if (!kept.back().itself) return because(name);
    closed.insert(*above);
  }
  // 0711: whoever knows a name can reach it, but nobody can list the names.
  for (const auto& directory : closed)
    if (mount("tmpfs", directory.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=0711") != 0)
      return because("cannot mount over " + directory.string());
  const mode_t before = umask(0066);
  for (const auto& [path, itself] : kept)
    if (!make_place(path, itself) || !bind(itself, path)) return because("cannot bind " + path.string());
  umask(before);
  for (const auto& directory : closed)
    if (mount("none", directory.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr) !=
        0)
      return because("cannot protect " + directory.string());
  return std::nullopt;
}

}  // namespace

std::optional<std::string> make_view(const View& view, std::string& names_trouble) {
  if (getpid() != 1) {  // no namespace of our own, so the whole machine would see our mounts
    for (const auto& path : view.reach)
      if (const auto above = first_closed(path)) return "other users cannot get through " + above->string();
    if (!view.users.empty()) names_trouble = "its users have no names: no mount namespace could be had";
    return std::nullopt;
  }
  // Opened before anything is covered, because these files may lie below it.
  const std::pair<Fd, const char*> names[] = {
      {Fd(open(view.users.c_str(), O_PATH | O_CLOEXEC)), "/etc/passwd"},
      {Fd(open(view.groups.c_str(), O_PATH | O_CLOEXEC)), "/etc/group"},
  };
  if (auto trouble = make_reachable(view.reach)) return trouble;
  if (view.users.empty()) return std::nullopt;
  for (const auto& [file, place] : names)
    if (!file || !bind(file, place)) names_trouble = because(std::string("its users have no names: ") + place);
  return std::nullopt;
}

}  // namespace geres::runner
