// SPDX-License-Identifier: Apache-2.0
// What an attempt can leave behind outside its workspace, where its slot's next job, perhaps another tenant's, would
// find it as its own: everything that is the slot's user's.
#pragma once

#include <cstdint>

namespace geres::host {

// Users `first` to `first` + `count` - 1. Removes their files in /tmp, /var/tmp, /dev/shm and /dev/mqueue, and their
// System V memory, semaphores and queues. Off the loop (a pool's thread); never throws.
void remove_files_left_by(std::uint32_t first, std::uint32_t count) noexcept;

// Kills what runs as this user, for where a process can get away from its attempt. Any thread.
void kill_processes_of(std::uint32_t uid, std::uint32_t gid) noexcept;

// Empties the user's keyrings, if it has any. Any thread.
void remove_keys_of(std::uint32_t uid, std::uint32_t gid) noexcept;

}  // namespace geres::host
