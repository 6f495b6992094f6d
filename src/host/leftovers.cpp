// SPDX-License-Identifier: Apache-2.0
#include "host/leftovers.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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

// The lines of /proc/sysvipc/KIND: the second column is the id; in `owner` stands who has it, two further who made it.
std::vector<int> ids_of(const char* kind, std::size_t owner, const Users& users) {
  std::vector<int> ids;
  std::istringstream lines(read_file_if(kind).value_or(""));
  std::string line;
  std::getline(lines, line);  // the head
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

// A short-lived child with that user's rights alone. System calls only: the agent has threads.
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

// What lies there is everybody's to make; below a directory of one user all is this user's.
void SharedPlaces::clear(const char* path, Seen& seen, std::uint32_t first, std::uint32_t count) const {
  constexpr std::time_t kSecondsToBeOld = 2;  // file systems keep times more coarsely than this clock
  const Fd directory(::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat now {};
  if (!directory || ::fstat(directory.get(), &now) != 0) return;
  const bool same = now.st_mtim.tv_sec == seen.changed.tv_sec && now.st_mtim.tv_nsec == seen.changed.tv_nsec;
  if (seen.clean && same) return;
  const std::time_t read_at = std::time(nullptr);
  DIR* const stream = ::fdopendir(::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (stream == nullptr) return;
  const Users all{first_, count_}, ended{first, count};
  std::vector<std::string> names;
  bool others = false;
  while (const dirent* item = ::readdir(stream)) {
    const std::string_view name = item->d_name;
    struct stat facts {};
    if (name == "." || name == ".." || ::fstatat(directory.get(), item->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    if (ended.have(facts.st_uid))
      names.emplace_back(name);
    else
      others = others || all.have(facts.st_uid);
  }
  ::closedir(stream);
  for (const auto& name : names) remove_tree_at(directory.get(), name);
  seen.changed = now.st_mtim;
  seen.clean = names.empty() && !others && read_at - now.st_mtim.tv_sec > kSecondsToBeOld;
}

void SharedPlaces::remove(std::uint32_t first, std::uint32_t count) noexcept {
  try {
    for (std::size_t i = 0; i < std::size(kPlaces); ++i) clear(kPlaces[i], seen_[i], first, count);
    clear_system_v({first, count});
  } catch (...) {  // there is no memory to remember names in: the next time
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
