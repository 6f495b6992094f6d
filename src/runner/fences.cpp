// SPDX-License-Identifier: Apache-2.0
#include "runner/fences.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

namespace geres::runner {
namespace {

// Newer than the kernel headers of the systems that we build on.
constexpr std::uint64_t kTruncate = 1ULL << 14;           // ABI 3
constexpr std::uint64_t kScopes = 1ULL << 0 | 1ULL << 1;  // ABI 6: abstract sockets, signals
struct RulesetAttributes {
  std::uint64_t files = 0;
  std::uint64_t network = 0;
  std::uint64_t scopes = 0;
};

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kWriteFile = LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate;
constexpr std::uint64_t kChange = LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                                  LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                  LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                                  LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                                  LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER;
constexpr std::uint64_t kAll = kRead | kWriteFile | kChange;
constexpr std::uint64_t kOfFiles = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | kWriteFile;

constexpr const char* kPassing[] = {"/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue"};
constexpr std::size_t kEntriesMax = 1'000;  // of one directory, because each entry makes every start a little slower

std::optional<std::int64_t> changed_ns(const std::string& path) {
  struct stat facts {};
  if (stat(path.c_str(), &facts) != 0) return std::nullopt;
  return std::int64_t(facts.st_ctim.tv_sec) * 1'000'000'000 + facts.st_ctim.tv_nsec;
}

bool is_in(const std::string& path, const std::string& directory) {
  return path.size() > directory.size() && path.starts_with(directory) &&
         (directory == "/" || path[directory.size()] == '/');
}

}  // namespace

int Fences::kernel_abi() {
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return abi < 0 ? 0 : int(abi);
}

Fences::Fences(std::vector<std::string> hidden, std::size_t names_max) : names_max_(names_max), abi_(kernel_abi()) {
  if (!usable()) return;
  handled_ = abi_ >= 3 ? kAll : kAll & ~kTruncate;
  // Without links, because that is how walking down finds them.
  for (const auto& path : hidden) {
    std::error_code error;
    const auto plain = std::filesystem::weakly_canonical(path, error);
    hidden_.push_back(error ? path : plain.string());
  }
  list();
}

// ---- what there is on this machine ----------------------------------------------------------------------------------

bool Fences::leads_to_hidden(const std::string& directory) const {
  return std::any_of(hidden_.begin(), hidden_.end(), [&](const auto& path) { return is_in(path, directory); });
}

bool Fences::is_changed() const {
  return std::any_of(ways_.begin(), ways_.end(),
                     [](const Way& way) { return changed_ns(way.directory) != way.changed_ns; });
}

// What every program needs comes first, in case there are not enough descriptors for everything.
void Fences::list() {
  places_.clear();
  ways_.clear();
  const auto has_nothing_hidden = [&](const std::string& path) {
    return !leads_to_hidden(path) && std::find(hidden_.begin(), hidden_.end(), path) == hidden_.end();
  };
  if (has_nothing_hidden("/dev")) allow("/dev", kRead | kWriteFile);
  for (const std::string path : kPassing)
    if (has_nothing_hidden(path)) allow(path, kAll);
  std::vector<std::string> level{"/"};
  while (!level.empty()) {
    std::vector<std::string> below;
    for (const auto& directory : level) {
      const auto more = list_around(directory);
      below.insert(below.end(), more.begin(), more.end());
    }
    level = std::move(below);
  }
}

// Allows what is in the directory except what is hidden or leads to it, and returns the names that lead to it.
std::vector<std::string> Fences::list_around(const std::string& directory) {
  std::vector<std::string> leading;
  ways_.push_back({directory, changed_ns(directory).value_or(0)});
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(directory.c_str()), &closedir);
  if (!entries) return leading;
  std::size_t count = 0;
  while (const dirent* entry = readdir(entries.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string path = (directory == "/" ? "/" : directory + "/") + name;
    if (std::find(hidden_.begin(), hidden_.end(), path) != hidden_.end()) continue;
    if (leads_to_hidden(path))
      leading.push_back(path);
    else if (++count <= kEntriesMax && places_.size() < names_max_)
      allow(path, kRead);
  }
  return leading;
}

// Links are left out: a target may be hidden, and one that is not is allowed by its own path.
void Fences::allow(const std::string& path, std::uint64_t access) {
  struct stat facts {};
  Place place{Fd(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)), false, access};
  if (!place.fd || fstat(place.fd.get(), &facts) != 0 || S_ISLNK(facts.st_mode)) return;
  place.is_directory = S_ISDIR(facts.st_mode);
  places_.push_back(std::move(place));
}

// ---- for one attempt ------------------------------------------------------------------------------------------------

bool Fences::add(int rules, const Place& place) const {
  landlock_path_beneath_attr rule{};
  rule.allowed_access = place.access & handled_ & (place.is_directory ? ~std::uint64_t{0} : kOfFiles);
  rule.parent_fd = place.fd.get();
  return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

bool Fences::add(int rules, const std::string& path, std::uint64_t access) const {
  struct stat facts {};
  Place place{Fd(open(path.c_str(), O_PATH | O_CLOEXEC)), false, access};
  if (!place.fd || fstat(place.fd.get(), &facts) != 0) return false;
  place.is_directory = S_ISDIR(facts.st_mode);
  return add(rules, place);
}

Fd Fences::make(const wire::RunFences& wanted) {
  if (is_changed()) list();
  RulesetAttributes attributes;
  attributes.files = handled_;
  if (abi_ >= 6) attributes.scopes = kScopes;
  const std::size_t size = abi_ >= 6 ? sizeof attributes : sizeof attributes.files;
  Fd rules(int(syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
  if (!rules) return rules;
  bool all = true;
  // One of the machine's places may be gone by now. The attempt's own must be there.
  for (const auto& place : places_) add(rules.get(), place);
  for (const auto& path : wanted.readable) all = all && add(rules.get(), path, kRead);
  for (const auto& path : wanted.writable) all = all && add(rules.get(), path, kAll);
  if (!all) return Fd();
  return rules;
}

// The child's own /proc may have been mounted a moment ago, and a rule is for a mounted file system, not for its name.
int Fences::enter(int rules) {
  landlock_path_beneath_attr rule{};
  rule.allowed_access = kRead | kWriteFile;
  rule.parent_fd = open("/proc", O_PATH | O_CLOEXEC);
  if (rule.parent_fd < 0) return errno;
  const auto add = [&] { return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0); };
  if (add() != 0) {
    rule.allowed_access &= ~kTruncate;  // the kernel does not handle it
    if (add() != 0) return errno;
  }
  close(rule.parent_fd);
  return syscall(SYS_landlock_restrict_self, rules, 0) == 0 ? 0 : errno;
}

}  // namespace geres::runner
