// SPDX-License-Identifier: Apache-2.0
// For tests: a disk in memory with an SQLite VFS of its own, that knows what a real disk has on its platters. What was
// written since a file's last sync is lost at a power loss, or a part of it: whole writes, or sectors of one. Any
// operation can be made to fail, the room is bounded where wanted, and everything is repeatable: chance comes in from
// outside.
//
// One connection at a time on one file (there are no locks and no shared memory: SqliteOptions::single_connection), and
// one thread at a time on one disk. Many disks may live at once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/uuid.h"

namespace geres::hub::store::sqlite {

class MemoryDisk {
 public:
  enum class Act { open, read, write, truncate, sync, remove };
  enum class Fault {
    none,
    io_error,     // EIO: nothing is done; at a sync: what it was to write counts as written from then on, and is not
    no_space,     // ENOSPC: nothing is done
    short_write,  // ENOSPC after the first half; for other acts than writes: ENOSPC
    cut,          // this operation and all later ones fail with EIO and do nothing, until kill() or power_loss()
  };
  // Asked before each operation, reads too. `file` is the whole name, as it was opened.
  using Plan = std::function<Fault(Act, std::string_view file)>;
  using Files = std::map<std::string, std::string>;

  MemoryDisk();
  explicit MemoryDisk(Files files);  // holds these, durably
  ~MemoryDisk();
  MemoryDisk(const MemoryDisk&) = delete;
  MemoryDisk& operator=(const MemoryDisk&) = delete;

  const std::string& vfs() const { return name_; }  // for SqliteOptions::vfs

  // ---- trouble
  void set_plan(Plan plan) { plan_ = std::move(plan); }
  // The n-th operation from now on (1: the next) that is not a read.
  void fail_nth(std::int64_t n, Fault fault) { nth_ = operations_ + n, nth_fault_ = fault; }
  void fail_none() { plan_ = nullptr, nth_ = 0; }
  std::int64_t operations() const { return operations_; }       // so far, without reads
  bool cut() const { return cut_; }                             // a fault `cut` was hit
  void set_capacity(std::int64_t bytes) { capacity_ = bytes; }  // of all files; 0: no bound
  std::int64_t used() const;

  // ---- ends. Files that are open stay dead for whoever opened them: all they do fails. close them after this.
  void kill();                      // the process is gone, what it wrote is there, synced or not
  void power_loss(Random& random);  // what was not synced is lost, whole or in part

  Files files() const;  // as a reader sees them

  struct File;
  struct Handle;
  struct Door;  // the VFS's functions

 private:
  Fault next_fault(Act act, std::string_view file);

  const std::string name_;
  std::unique_ptr<Door> door_;
  std::map<std::string, std::shared_ptr<File>> files_;
  std::map<std::string, std::shared_ptr<File>> removed_;  // not for sure until the directory is synced
  Plan plan_;
  std::int64_t operations_ = 0;
  std::int64_t nth_ = 0;
  Fault nth_fault_ = Fault::none;
  std::int64_t capacity_ = 0;
  std::int64_t generation_ = 0;  // raised when all open files die
  int last_error_ = 0;           // errno
  bool cut_ = false;
};

}  // namespace geres::hub::store::sqlite
