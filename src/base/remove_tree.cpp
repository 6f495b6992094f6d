// SPDX-License-Identifier: Apache-2.0
// Removes what somebody we do not trust has left: unreadable directories, a hundred thousand files, directories nested
// deeper than we have descriptors. Directories that are too deep are moved to the top and removed from there.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "base/beneath.h"
#include "base/uuid.h"

namespace geres {
namespace {

constexpr int kDepthMax = 32;
constexpr std::size_t kNamesAtOnce = 10'000;
constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// Its owner may have made it unreadable, which would also keep us from removing what is in it.
Fd open_directory(int at, const std::string& name) {
  if (const Fd itself{::openat(at, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)})
    ::chmod(("/proc/self/fd/" + std::to_string(itself.get())).c_str(), S_IRWXU);
  return Fd(::openat(at, name.c_str(), kDirectoryFlags));
}

class Removal {
 public:
  explicit Removal(int top) : top_(top) {}

  // Empties the directory; what is nested too deep is moved to the top. True: something was moved there.
  bool empty(const Fd& directory, int depth) {
    bool moved = false;
    for (;;) {
      const auto names = names_in(directory.get());
      std::size_t gone = 0;
      for (const auto& name : names) gone += remove(directory.get(), name, depth, moved) ? 1 : 0;
      if (names.size() < kNamesAtOnce || gone == 0) return moved;
    }
  }

  // In batches, because some file systems lose their place in a directory that changes.
  static std::vector<std::string> names_in(int directory) {
    std::vector<std::string> names;
    DIR* const stream = ::fdopendir(::openat(directory, ".", kDirectoryFlags));
    if (stream == nullptr) return names;
    while (const dirent* item = ::readdir(stream)) {
      const std::string_view name = item->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      if (names.size() == kNamesAtOnce) break;
    }
    ::closedir(stream);
    return names;
  }

 private:
  // True: it is no longer there.
  bool remove(int at, const std::string& name, int depth, bool& moved) {
    if (::unlinkat(at, name.c_str(), 0) == 0 || errno == ENOENT) return true;
    if (::unlinkat(at, name.c_str(), AT_REMOVEDIR) == 0) return true;
    const Fd below = open_directory(at, name);
    if (!below) return false;
    if (depth >= kDepthMax) {
      const bool done = ::renameat(at, name.c_str(), top_, (".deep-" + random_hex(8)).c_str()) == 0;
      moved = moved || done;
      return done;
    }
    moved = empty(below, depth + 1) || moved;
    return ::unlinkat(at, name.c_str(), AT_REMOVEDIR) == 0;
  }

  int top_;
};

}  // namespace

bool empty_directory(int directory) noexcept {
  try {
    if (Removal::names_in(directory).empty()) return true;  // true of most directories that attempts leave
    const Fd top(::openat(directory, ".", kDirectoryFlags));
    if (!top) return false;
    Removal removal(top.get());
    while (removal.empty(top, 0)) {
    }
    return Removal::names_in(top.get()).empty();
  } catch (...) {
    return false;
  }
}

bool remove_tree_at(int directory, const std::string& name) noexcept {
  try {
    if (::unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) return true;
    const Fd top = open_directory(directory, name);
    if (top) empty_directory(top.get());
    return ::unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT;
  } catch (...) {
    return false;
  }
}

bool remove_tree(const std::filesystem::path& path) noexcept {
  return remove_tree_at(AT_FDCWD, path.native());
}

}  // namespace geres
