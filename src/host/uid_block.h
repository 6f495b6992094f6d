// SPDX-License-Identifier: Apache-2.0
// The users of the machine that a host's jobs run as: a block of 65,536 ids that nothing else uses, held by a lock for
// as long as the host lives. Blocks are in the range that systemd uses for containers (systemd.io/UIDS-GIDS), and the
// lock is the one that systemd-nspawn takes, so that neither it nor another host takes the same block.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace geres::host {

inline constexpr std::uint32_t kUidBlockSize = 65'536;
inline constexpr std::uint32_t kUidBlocksFrom = 524'288, kUidBlocksTo = 1'879'048'191;  // both included

struct UidBlock {
  std::uint32_t first = 0;
  Fd lock;
};

// Where the machine records which ids are in use.
struct UidSources {
  std::vector<std::filesystem::path> delegated = {"/etc/subuid", "/etc/subgid"};
  std::filesystem::path locks = "/run/systemd/nspawn-uid";
  std::string machine;                          // empty: /etc/machine-id
  std::function<bool(std::uint32_t)> is_known;  // a user or group has this id; empty: the machine's databases
};

// The block `insisted` on; else the one `recorded` last time, if it is free; else the first free one, searched from a
// place derived from the machine and `data`. Errors: badValue (`insisted` is not a block, or not free), tooMany.
Result<UidBlock> claim_uid_block(const std::filesystem::path& data, std::optional<std::uint32_t> recorded,
                                 std::optional<std::uint32_t> insisted, const UidSources& sources = {});

}  // namespace geres::host
