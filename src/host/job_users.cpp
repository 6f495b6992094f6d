// SPDX-License-Identifier: Apache-2.0
#include "host/job_users.h"

#include <fcntl.h>

#include <boost/describe/class.hpp>
#include <stdexcept>
#include <system_error>

#include "base/json.h"

namespace geres::host {
namespace {

constexpr std::uint32_t kGroupsFrom = 32'768;

struct Recorded {
  std::uint32_t first = 0;
  std::map<std::string, std::uint32_t> tenants;
};
BOOST_DESCRIBE_STRUCT(Recorded, (), (first, tenants))

std::string group_line(std::uint32_t tenant, std::uint32_t gid) {
  return "geres-t" + std::to_string(tenant) + ":x:" + std::to_string(gid) + ":\n";
}

std::string lines_of(const char* file) {
  std::string text = read_file_if(file).value_or("");
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

// A file of version 0.1.0 holds tenants and their users. None of those users is used any more, and what was theirs in
// the caches is given to the new groups at the start.
bool is_of_first_version(const std::string& text) {
  return bool(json::read_text<std::map<std::string, std::uint32_t>>(text));
}

}  // namespace

std::string job_user_name(std::uint32_t slot) {
  return "geres-" + std::to_string(slot);
}

Result<JobUsers> JobUsers::claim(const std::filesystem::path& data, int slots, std::optional<std::uint32_t> insisted) {
  const auto file = data / "uids.json";
  std::optional<Recorded> recorded;
  if (const auto text = read_file_if(file)) {
    auto read = json::read_text<Recorded>(*text);
    if (read)
      recorded = std::move(*read);
    else if (!is_of_first_version(*text))
      throw std::runtime_error(file.string() + " is broken: " + read.error().message);
  }
  auto block = claim_uid_block(data, recorded ? std::optional(recorded->first) : std::nullopt, insisted);
  if (!block) return block.error();
  JobUsers users(data, std::move(*block));
  if (recorded) users.tenants_ = std::move(recorded->tenants);
  users.save();
  users.write_names(slots);
  return users;
}

void JobUsers::save() const {
  replace_file(data_ / "uids.json", json::write_text(Recorded{block_.first, tenants_}), 0600);
}

// The home is the job's working directory whatever that is called, so that programs that read it from here and not from
// HOME (Java, ssh) find it.
void JobUsers::write_names(int slots) const {
  std::string users = lines_of("/etc/passwd");
  const auto nobody = std::to_string(block_.first + kUidBlockSize - 1);
  for (std::uint32_t slot = 0; slot < std::uint32_t(slots); ++slot)
    users += job_user_name(slot) + ":x:" + std::to_string(block_.first + 2 * slot) + ":" + nobody +
             ":a job:/proc/self/cwd:/bin/sh\n";
  std::string groups = lines_of("/etc/group");
  for (const auto& [tenant, number] : tenants_) groups += group_line(number, block_.first + kGroupsFrom + number);
  replace_file(names_of_users(), users, 0644);
  replace_file(names_of_groups(), groups, 0644);
}

Result<std::uint32_t> JobUsers::group_of(const std::string& tenant) {
  if (const auto known = tenants_.find(tenant); known != tenants_.end())
    return block_.first + kGroupsFrom + known->second;
  const auto number = std::uint32_t(tenants_.size());
  if (number >= kUidBlockSize - kGroupsFrom - 2)
    return fail(Code::tooMany, "no group is left for tenant '" + tenant + "' on this host");
  tenants_.emplace(tenant, number);
  try {
    save();
  } catch (...) {
    tenants_.erase(tenant);
    throw;
  }
  // In place, because jobs have this very file mounted.
  const Fd names(::open(names_of_groups().c_str(), O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC));
  const auto gid = block_.first + kGroupsFrom + number;
  if (names) write_all(names.get(), group_line(number, gid));
  return gid;
}

Result<JobUser> JobUsers::user_of(std::uint32_t slot, const std::string& tenant) {
  auto group = group_of(tenant);
  if (!group) return group.error();
  return JobUser{block_.first + 2 * slot, *group};
}

}  // namespace geres::host
