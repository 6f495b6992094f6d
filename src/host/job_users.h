// SPDX-License-Identifier: Apache-2.0
// Which user and group of the machine an attempt runs as (isolation "user"): a user for each slot and a group for each
// tenant, from one block of ids that only this host uses. So no two running attempts share a user, whatever their
// tenants are, and what a tenant's attempts share, its packages and inputs, is readable by its group.
//
//   first + 2 n          the job in slot n
//   first + 2 n + 1      kept free
//   first + 32768 + k    the group of tenant k
//
// DATA/uids.json keeps the block and the tenants' numbers, so that a group never serves two tenants. DATA/passwd and
// DATA/group give the ids names: they contain the machine's own files followed by ours, and the runner shows them to
// jobs as /etc/passwd and /etc/group, for programs that look their user up.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/error.h"
#include "host/uid_block.h"
#include "host/workspace.h"

namespace geres::host {

// claim() on any thread, the rest on the loop's.
class JobUsers {
 public:
  // Takes the block (uid_block.h) and writes the files. Throws when the disk fails or uids.json is broken, because a
  // guess could give one group to two tenants.
  static Result<JobUsers> claim(const std::filesystem::path& data, int slots, std::optional<std::uint32_t> insisted);

  std::uint32_t first() const { return block_.first; }
  // The assignment is on disk when this returns; may throw std::system_error. tooMany: there have been 32,768 tenants.
  Result<JobUser> user_of(std::uint32_t slot, const std::string& tenant);
  Result<std::uint32_t> group_of(const std::string& tenant);
  // The user of slot 0, with a group that no tenant has.
  JobUser user_of_trial() const { return {block_.first, block_.first + kUidBlockSize - 2}; }

  std::filesystem::path names_of_users() const { return data_ / "passwd"; }
  std::filesystem::path names_of_groups() const { return data_ / "group"; }

 private:
  JobUsers(std::filesystem::path data, UidBlock block) : data_(std::move(data)), block_(std::move(block)) {}
  void save() const;
  void write_names(int slots) const;

  std::filesystem::path data_;
  UidBlock block_;
  std::map<std::string, std::uint32_t> tenants_;  // their numbers, from 0
};

// "geres-3": the user of slot 3.
std::string job_user_name(std::uint32_t slot);

}  // namespace geres::host
