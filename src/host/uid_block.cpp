// SPDX-License-Identifier: Apache-2.0
#include "host/uid_block.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "base/sha256.h"

namespace geres::host {
namespace {

constexpr std::uint32_t kBlocks = (kUidBlocksTo - kUidBlocksFrom + 1) / kUidBlockSize;
constexpr std::uint32_t kTriesMax = 100;

bool is_block(std::uint32_t first) {
  return first % kUidBlockSize == 0 && first >= kUidBlocksFrom && first <= kUidBlocksTo - kUidBlockSize + 1;
}

bool machine_knows(std::uint32_t id) {
  return ::getpwuid(id) != nullptr || ::getgrgid(id) != nullptr;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The line of `text` (lines are "name:first:count") that contains ids of the block.
std::optional<std::string> overlapping(std::string_view text, std::uint32_t block) {
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto second = line.rfind(':');
    const auto first = second == std::string_view::npos || second == 0 ? second : line.rfind(':', second - 1);
    if (first == std::string_view::npos) continue;
    const auto from = number(line.substr(first + 1, second - first - 1));
    const auto count = number(line.substr(second + 1));
    if (from && count && *from < std::uint64_t(block) + kUidBlockSize && block < *from + *count)
      return std::string(line);
  }
  return std::nullopt;
}

// Why the block is not available.
std::optional<std::string> taken(std::uint32_t block, const UidSources& sources) {
  for (const auto& file : sources.delegated) {
    const auto text = read_file_if(file);
    if (const auto line = text ? overlapping(*text, block) : std::nullopt) return file.string() + " has " + *line;
  }
  for (const auto id : {block, block + kUidBlockSize - 1})
    if (sources.is_known ? sources.is_known(id) : machine_knows(id))
      return "the machine knows a user or group " + std::to_string(id);
  return std::nullopt;
}

// Empty: another holder has it.
Fd lock_block(std::uint32_t block, const UidSources& sources) {
  std::filesystem::create_directories(sources.locks);
  const auto path = sources.locks / std::to_string(block);
  for (;;) {
    Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!lock) throw std::system_error(errno, std::generic_category(), "open " + path.string());
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return Fd();
    struct stat facts {};
    // Otherwise its last holder has just removed the file.
    if (::fstat(lock.get(), &facts) == 0 && facts.st_nlink > 0) return lock;
  }
}

Result<UidBlock> claim_this(std::uint32_t block, const UidSources& sources) {
  if (auto why = taken(block, sources)) return fail(Code::badValue, *why);
  Fd lock = lock_block(block, sources);
  if (!lock) return fail(Code::badValue, "another host or container of this machine has it");
  return UidBlock{block, std::move(lock)};
}

std::uint32_t begin_at(const std::filesystem::path& data, const UidSources& sources) {
  Sha256 digest;
  digest.update(sources.machine.empty() ? read_file_if("/etc/machine-id").value_or("") : sources.machine);
  digest.update("\n" + std::filesystem::weakly_canonical(data).native());
  return std::uint32_t(std::stoul(digest.hex().substr(0, 7), nullptr, 16)) % kBlocks;
}

}  // namespace

Result<UidBlock> claim_uid_block(const std::filesystem::path& data, std::optional<std::uint32_t> recorded,
                                 std::optional<std::uint32_t> insisted, const UidSources& sources) {
  const auto name = [](std::uint32_t first) {
    return "user ids " + std::to_string(first) + " to " + std::to_string(first + kUidBlockSize - 1);
  };
  if (insisted) {
    const std::string range = "a multiple of 65536 from 524288 to " + std::to_string(kUidBlocksTo - kUidBlockSize + 1);
    if (!is_block(*insisted))
      return fail(Code::badValue, std::to_string(*insisted) + " is not where a block of user ids can begin",
                  "uid-block", range);
    auto block = claim_this(*insisted, sources);
    if (!block) return fail(Code::badValue, name(*insisted) + ": " + block.error().message, "uid-block", range);
    return block;
  }
  if (recorded && is_block(*recorded))
    if (auto block = claim_this(*recorded, sources)) return block;
  const auto from = begin_at(data, sources);
  for (std::uint32_t i = 0; i < kTriesMax; ++i)
    if (auto block = claim_this(kUidBlocksFrom + (from + i) % kBlocks * kUidBlockSize, sources)) return block;
  return fail(Code::tooMany, "no block of 65536 user ids is free for the jobs", "uid-block",
              "name one that is: --uid-block FIRST");
}

}  // namespace geres::host
