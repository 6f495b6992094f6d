// SPDX-License-Identifier: Apache-2.0
// Confines an attempt's processes to their own files by Landlock, which needs no privileges: for hosts whose jobs all
// run as one user. Needs Linux 5.19 (ABI 2), because below it a fenced program cannot rename files from one directory
// to another.
//
//   written     the attempt's own directories, and /tmp, /var/tmp, /dev/shm, /dev/mqueue: some programs know no other
//               place for temporary files (Java, tmpfile(), python's multiprocessing)
//   read, run   everything but what is hidden: the host's data and the secrets of its user
//   /dev, /proc files may be written as the user's rights allow, none made
//
// From Linux 6.12 on (ABI 6) signals and abstract sockets are confined too. Landlock does not see connections to a
// socket that has a name or to the network, nor who reads a file's metadata (size, owner).
//
// Rules can only allow, so whatever lies around something hidden is allowed name by name. The names are listed at the
// start, and again when a directory on the way to something hidden has changed. (What is mounted later on top of one of
// these names stays closed until the host restarts, because a rule is for what was mounted when it was made.)
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "wire/runner/runner_channel.h"

namespace geres::runner {

class Fences {
 public:
  // The kernel's version of Landlock; 0: none, or switched off.
  static int kernel_abi();

  // `hidden`: absolute paths, which need not exist. `names_max`: how many names around them may be held open.
  Fences(std::vector<std::string> hidden, std::size_t names_max);
  bool usable() const { return abi_ >= kAbiMin; }
  int abi() const { return abi_; }

  // The rules for one attempt; a child enters them by enter(). An empty Fd with errno if they cannot be made, ENOENT if
  // one of the attempt's directories does not exist.
  Fd make(const wire::RunFences& wanted);
  // Called in a child that cannot gain privileges (no_new_privs), right before it executes. Returns 0 or errno.
  static int enter(int rules);

 private:
  static constexpr int kAbiMin = 2;
  struct Place {
    Fd fd;
    bool is_directory = false;
    std::uint64_t access = 0;
  };
  struct Way {
    std::string directory;  // leads to something hidden
    std::int64_t changed_ns = 0;
  };

  bool is_changed() const;
  void list();
  std::vector<std::string> list_around(const std::string& directory);
  void allow(const std::string& path, std::uint64_t access);
  bool leads_to_hidden(const std::string& directory) const;
  bool add(int rules, const Place& place) const;
  bool add(int rules, const std::string& path, std::uint64_t access) const;

  const std::size_t names_max_;
  int abi_;
  std::uint64_t handled_ = 0;
  std::vector<std::string> hidden_;
  std::vector<Way> ways_;
  std::vector<Place> places_;
};

}  // namespace geres::runner
