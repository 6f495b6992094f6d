// SPDX-License-Identifier: Apache-2.0
#include "host/link/remembered.h"

#include <boost/describe/class.hpp>
#include <cerrno>
#include <system_error>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sha256.h"

namespace geres::host {
namespace {

constexpr const char* kFile = "host.json";

// Version 0.1.0 wrote the id alone.
struct Remembered {
  std::string id;
  std::string machine;         // digest of /etc/machine-id; empty: there is none
  std::string boot;            // of the machine, when it was written
  std::int64_t directory = 0;  // inode of its home; 0: unknown
  std::int64_t device = 0;     // device of its home; may be numbered differently after a boot
};
BOOST_DESCRIBE_STRUCT(Remembered, (), (id, machine, boot, directory, device))

std::string read_word(const char* file) {
  try {
    auto text = read_file_if(file).value_or("");
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  } catch (const std::system_error&) {
    return {};
  }
}

Remembered as_of_now(std::string id, const struct stat& home) {
  const auto machine = read_word("/etc/machine-id");
  return {std::move(id), machine.empty() ? "" : sha256_hex("geres " + machine),
          read_word("/proc/sys/kernel/random/boot_id"), std::int64_t(home.st_ino), std::int64_t(home.st_dev)};
}

struct stat look_at(const std::filesystem::path& data) {
  struct stat facts {};
  if (::stat(data.c_str(), &facts) != 0)
    throw std::system_error(errno, std::generic_category(), "look at " + data.string());
  return facts;
}

}  // namespace

std::string remembered_text(const std::string& id, const struct stat& home) {
  return json::write_text(as_of_now(id, home));
}

std::optional<RememberedId> read_remembered(std::string_view text, const struct stat& home) {
  const auto then = json::read_text<Remembered>(text);
  if (!then || then->id.empty()) return std::nullopt;
  const auto now = as_of_now({}, home);
  const bool same = then->directory == 0 || (then->machine == now.machine && then->directory == now.directory &&
                                             (then->device == now.device || then->boot != now.boot));
  return RememberedId{then->id, !same};
}

std::string remembered_id(const std::filesystem::path& data) {
  const auto text = read_file_if(data / kFile);
  if (!text) return {};
  const auto found = read_remembered(*text, look_at(data));
  if (!found) return {};
  if (found->copied) log::event(log::Level::warn, "data is a copy of another host's", {{"data", data.string()}});
  return found->copied ? std::string() : found->id;
}

void remember_id(const std::filesystem::path& data, const std::string& id) {
  replace_file(data / kFile, remembered_text(id, look_at(data)), 0600);
}

}  // namespace geres::host
