// SPDX-License-Identifier: Apache-2.0
// What an attempt can leave behind outside its workspace, where its slot's next job, perhaps another tenant's, would
// find it as its own: everything that is the slot's user's.
#pragma once

#include <cstdint>
#include <ctime>
#include <iterator>

namespace geres::host {

// The files in /tmp, /var/tmp, /dev/shm and /dev/mqueue, and the System V memory, semaphores and queues, of a host's
// users: `first` to `first` + `count` - 1. Reading a large /tmp after each job costs more than the job, so a directory
// that has not changed since it was read, and had nothing of them then, is not read again. One thread; never throws.
class SharedPlaces {
 public:
  SharedPlaces(std::uint32_t first, std::uint32_t count) : first_(first), count_(count) {}
  void remove_left_by(std::uint32_t uid) noexcept { remove(uid, 1); }
  void remove_all() noexcept { remove(first_, count_); }

 private:
  static constexpr const char* kPlaces[] = {"/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue"};
  struct Seen {
    timespec changed{};
    bool clean = false;  // nothing of these users was there, and the time above is too old to hide a later change
  };

  void remove(std::uint32_t first, std::uint32_t count) noexcept;
  void clear(const char* path, Seen& seen, std::uint32_t first, std::uint32_t count) const;

  std::uint32_t first_, count_;
  Seen seen_[std::size(kPlaces)];
};

// Kills what runs as this user, for where a process can get away from its attempt. Any thread.
void kill_processes_of(std::uint32_t uid, std::uint32_t gid) noexcept;

// Empties the user's keyrings, if it has any. Any thread.
void remove_keys_of(std::uint32_t uid, std::uint32_t gid) noexcept;

}  // namespace geres::host
