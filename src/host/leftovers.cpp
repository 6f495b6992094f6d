// SPDX-License-Identifier: Apache-2.0
#include "host/leftovers.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <string>
#include <vector>

#include "base/beneath.h"

namespace geres::host {
namespace {

struct Users {
  std::uint32_t first, count;
  bool have(std::uint64_t uid) const { return uid >= first && uid - first < count; }
};

// Reads /proc/sysvipc/KIND: the second column is the id, column `owner` the owner, two further the creator.
std::vector<int> ids_of(const char* kind, std::size_t owner, const Users& users) {
  std::vector<int> ids;
  std::istringstream lines(read_file_if(kind).value_or(""));
  std::string line;
  std::getline(lines, line);  // the heading
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::vector<std::uint64_t> columns;
    for (std::int64_t number; words >> number;) columns.push_back(std::uint64_t(number));
    if (columns.size() > owner + 2 && (users.have(columns[owner]) || users.have(columns[owner + 2])))
      ids.push_back(int(columns[1]));
  }
  return ids;
}

bool has_system_v() {
  shm_info memory{};
  seminfo semaphores{};
  msginfo queues{};
  return ::shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds*>(&memory)) < 0 || memory.used_ids > 0 ||
         ::semctl(0, 0, SEM_INFO, &semaphores) < 0 || semaphores.semusz > 0 ||
         ::msgctl(0, MSG_INFO, reinterpret_cast<msqid_ds*>(&queues)) < 0 || queues.msgpool > 0;
}

void clear_system_v(const Users& users) {
  if (!has_system_v()) return;
  for (const int id : ids_of("/proc/sysvipc/shm", 7, users)) ::shmctl(id, IPC_RMID, nullptr);
  for (const int id : ids_of("/proc/sysvipc/sem", 4, users)) ::semctl(id, 0, IPC_RMID);
  for (const int id : ids_of("/proc/sysvipc/msg", 7, users)) ::msgctl(id, IPC_RMID, nullptr);
}

bool has_keys(std::uint32_t uid) {
  std::istringstream lines(read_file_if("/proc/key-users").value_or(""));
  for (std::string line; std::getline(lines, line);)
    if (std::strtoul(line.c_str(), nullptr, 10) == uid && line.find(':') != std::string::npos) return true;
  return false;
}

// Runs `step` in a short-lived child with that user's rights alone. Only system calls, because the agent has threads.
template <class Step>
void as_user(std::uint32_t uid, std::uint32_t gid, Step step) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::syscall(SYS_setresgid, gid, gid, gid) == 0 && ::syscall(SYS_setresuid, uid, uid, uid) == 0) step();
    ::_exit(0);
  }
  if (child > 0) ::waitpid(child, nullptr, 0);
}

}  // namespace

SharedPlaces::SharedPlaces(std::uint32_t first, std::uint32_t count, bool watch) : first_(first), count_(count) {
  if (watch) events_ = Fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
}

// When the process that made something is gone, the kernel has already reported it.
void SharedPlaces::hear() {
  constexpr std::size_t kNamesMax = 10'000;
  alignas(inotify_event) char bytes[16 * 1024];
  for (ssize_t got; events_ && (got = ::read(events_.get(), bytes, sizeof bytes)) > 0;)
    for (char* at = bytes; at < bytes + got;) {
      const auto& event = *reinterpret_cast<const inotify_event*>(at);
      at += sizeof event + event.len;
      for (auto& place : places_) {
        const bool lost = (event.mask & IN_Q_OVERFLOW) != 0;
        if (!lost && place.watch != event.wd) continue;
        if (!lost && (event.mask & IN_IGNORED) != 0) place.watch = -1;
        if (event.len > 0) place.names.insert(event.name);
        if (lost || place.watch < 0 || place.names.size() > kNamesMax) place.known = false;
      }
    }
}

// Something else may have been mounted there in the meantime.
void SharedPlaces::watch(const char* path, const struct stat& facts, Place& place) const {
  if (!events_ || (place.watch >= 0 && place.device == facts.st_dev && place.inode == facts.st_ino)) return;
  if (place.watch >= 0) ::inotify_rm_watch(events_.get(), place.watch);
  place.watch = ::inotify_add_watch(events_.get(), path, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
  place.device = facts.st_dev;
  place.inode = facts.st_ino;
  place.known = false;
}

void SharedPlaces::read_names(int directory, Place& place) const {
  place.names.clear();
  DIR* const stream = ::fdopendir(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (stream == nullptr) return;
  const Users all{first_, count_};
  while (const dirent* item = ::readdir(stream)) {
    const std::string_view name = item->d_name;
    struct stat facts {};
    if (name != "." && name != ".." && ::fstatat(directory, item->d_name, &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
        all.have(facts.st_uid))
      place.names.emplace(name);
  }
  ::closedir(stream);
  place.known = place.watch >= 0;
}

// Anybody may create entries in the place itself; below a directory that belongs to one of our users everything is his.
void SharedPlaces::clear(const char* path, Place& place, std::uint32_t first, std::uint32_t count) const {
  constexpr std::time_t kSecondsToBeOld = 2;  // file systems keep times less precisely than this clock
  struct stat now {};
  if (::stat(path, &now) != 0) return;
  watch(path, now, place);
  if (place.known && place.names.empty()) return;
  const bool same = now.st_mtim.tv_sec == place.changed.tv_sec && now.st_mtim.tv_nsec == place.changed.tv_nsec;
  if (!events_ && place.clean && same) return;
  const Fd directory(::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return;
  const std::time_t read_at = std::time(nullptr);
  if (!place.known) read_names(directory.get(), place);
  const Users all{first_, count_}, ended{first, count};
  std::erase_if(place.names, [&](const std::string& name) {
    struct stat facts {};
    if (::fstatat(directory.get(), name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT;
    if (ended.have(facts.st_uid)) return remove_tree_at(directory.get(), name);
    return !all.have(facts.st_uid);
  });
  place.changed = now.st_mtim;
  place.clean = place.names.empty() && read_at - now.st_mtim.tv_sec > kSecondsToBeOld;
}

void SharedPlaces::remove(std::uint32_t first, std::uint32_t count) noexcept {
  try {
    hear();
    for (std::size_t i = 0; i < std::size(kPlaces); ++i) clear(kPlaces[i], places_[i], first, count);
    clear_system_v({first, count});
  } catch (...) {  // no memory to remember names: try again next time
    for (auto& place : places_) place.known = false;
  }
}

void kill_processes_of(std::uint32_t uid, std::uint32_t gid) noexcept {
  as_user(uid, gid, [] { ::kill(-1, SIGKILL); });
}

void remove_keys_of(std::uint32_t uid, std::uint32_t gid) noexcept {
  try {
    if (!has_keys(uid)) return;
    as_user(uid, gid, [] {
      ::syscall(SYS_keyctl, KEYCTL_CLEAR, KEY_SPEC_USER_KEYRING, 0, 0, 0);
      ::syscall(SYS_keyctl, KEYCTL_CLEAR, KEY_SPEC_USER_SESSION_KEYRING, 0, 0, 0);
    });
  } catch (...) {  // likewise
  }
}

}  // namespace geres::host
