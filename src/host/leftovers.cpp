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

// What lies there is everybody's to make; below a directory of one user all is this user's.
void clear_directory(const char* path, const Users& users) {
  const Fd directory(::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* const stream =
      directory ? ::fdopendir(::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) : nullptr;
  if (stream == nullptr) return;
  std::vector<std::string> names;
  while (const dirent* item = ::readdir(stream)) {
    struct stat facts {};
    const bool found = ::fstatat(directory.get(), item->d_name, &facts, AT_SYMLINK_NOFOLLOW) == 0;
    const std::string_view name = item->d_name;
    if (found && users.have(facts.st_uid) && name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(stream);
  for (const auto& name : names) remove_tree_at(directory.get(), name);
}

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

void clear_system_v(const Users& users) {
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

void remove_files_left_by(std::uint32_t first, std::uint32_t count) noexcept {
  try {
    const Users users{first, count};
    for (const char* path : {"/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue"}) clear_directory(path, users);
    clear_system_v(users);
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
