// SPDX-License-Identifier: Apache-2.0
// What an attempt can leave behind outside of its workspace, everything that belongs to the slot's user. The slot's
// next job, perhaps another tenant's, would have it as its own.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <iterator>
#include <set>
#include <string>

#include "base/file.h"

namespace geres::host {

// Removes the files in /tmp, /var/tmp, /dev/shm and /dev/mqueue, and the System V memory, semaphores and queues, of a
// host's users: `first` to `first` + `count` - 1. Reading a large /tmp after each job costs more than the job, so each
// place is read once, and from then on the kernel names what appears there (inotify), most of which is not ours on a
// busy machine. Where the kernel does not, a directory is read again when it has changed. One thread; never throws.
class SharedPlaces {
 public:
  SharedPlaces(std::uint32_t first, std::uint32_t count, bool watch = true);
  void remove_left_by(std::uint32_t uid) noexcept { remove(uid, 1); }
  void remove_all() noexcept { remove(first_, count_); }

 private:
  static constexpr const char* kPlaces[] = {"/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue"};
  struct Place {
    int watch = -1;  // the number of its inotify watch; -1: it is not watched
    std::uint64_t device = 0, inode = 0;
    bool known = false;           // everything that may belong to these users is in `names`
    std::set<std::string> names;  // to be looked at
    timespec changed{};           // its time of change when it was read …
    // … and whether it then held nothing of these users, and the change was long enough ago.
    bool clean = false;
  };

  void remove(std::uint32_t first, std::uint32_t count) noexcept;
  void hear();
  void watch(const char* path, const struct stat& facts, Place& place) const;
  void clear(const char* path, Place& place, std::uint32_t first, std::uint32_t count) const;
  void read_names(int directory, Place& place) const;

  const std::uint32_t first_, count_;
  Fd events_;
  Place places_[std::size(kPlaces)];
};

// Kills everything that runs as this user, for where a process can escape from its attempt. Any thread.
void kill_processes_of(std::uint32_t uid, std::uint32_t gid) noexcept;

// Empties the user's keyrings, if there are any. Any thread.
void remove_keys_of(std::uint32_t uid, std::uint32_t gid) noexcept;

}  // namespace geres::host
