// SPDX-License-Identifier: Apache-2.0
// A package's ZIP. Promises: looking and unpacking agree on what is refused; a refused one leaves nothing behind; a
// taken one leaves plain files in its own directory and nothing else, as many bytes as it said.
#include "package/archive.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "target.h"

using namespace geres;
using fuzz::must;
namespace fs = std::filesystem;

GERES_FUZZ_TARGET(archive) {
  static const fs::path place = [] {
    static const TemporaryDirectory directory;
    return directory.path() / "inner";
  }();
  const Fd file(::memfd_create("zip", MFD_CLOEXEC));
  write_all(file.get(), bytes);
  const fs::path zip = "/proc/self/fd/" + std::to_string(file.get());
  const package::Limits limits{
      .bytes = 1 << 20, .entries = 50, .names_bytes = 10'000, .depth = 8, .ratio_from = 100'000};
  fs::create_directories(place);
  const auto directory = place / "package";
  const auto contents = package::inspect(zip, limits);
  const auto unpacked = package::unpack(zip, directory, limits);
  if (!unpacked) must(!fs::exists(fs::symlink_status(directory)), "a refused archive leaves nothing");
  if (contents) must(unpacked.has_value(), "what can be looked into can be unpacked");
  std::uint64_t files = 0, size = 0;
  for (const auto& entry : fs::recursive_directory_iterator(place)) {
    struct stat status {};
    must(::lstat(entry.path().c_str(), &status) == 0, "what is listed is there");
    must(S_ISDIR(status.st_mode) || S_ISREG(status.st_mode), "plain files and directories");
    must((status.st_mode & 07022) == 0, "no odd modes", entry.path().string());
    if (!S_ISREG(status.st_mode)) continue;
    ++files;
    size += std::uint64_t(status.st_size);
  }
  if (contents) must(contents->files == files && contents->bytes == size, "it holds what was said");
  fs::remove_all(place);
}
