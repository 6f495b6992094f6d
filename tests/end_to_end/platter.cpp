// SPDX-License-Identifier: Apache-2.0
// Preloaded into a hub by power_test.py: remembers what the hub's disk would hold after a loss of power. Each time a
// file of its store has been synced, its bytes are copied into the directory GERES_TEST_PLATTER; nothing else is sure.
// Where GERES_TEST_PLATTER/die exists, the process is killed when it is about to sync the log: what it wrote is in the
// system's cache by then, and not on the disk.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using Sync = int (*)(int);

std::string name_of(int fd) {
  char path[4096];
  const auto length = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path);
  const std::string whole(path, length > 0 ? std::size_t(length) : 0);
  return whole.substr(whole.rfind('/') + 1);
}

void remember(int fd, const std::string& kept) {
  const int to = open((kept + ".new").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (to < 0) abort();
  char bytes[65536];
  off_t at = 0;
  for (ssize_t got; (got = pread(fd, bytes, sizeof bytes, at)) > 0; at += got)
    if (write(to, bytes, std::size_t(got)) != got) abort();
  close(to);
  if (rename((kept + ".new").c_str(), kept.c_str()) != 0) abort();
}

int watched(int fd, const char* real) {
  const auto sync = reinterpret_cast<Sync>(dlsym(RTLD_NEXT, real));
  const char* platter = getenv("GERES_TEST_PLATTER");
  const auto name = name_of(fd);
  if (platter == nullptr || !name.starts_with("geres.db")) return sync(fd);
  const bool log = name.ends_with("-wal");
  if (log && access((std::string(platter) + "/die").c_str(), F_OK) == 0) kill(getpid(), SIGKILL);
  const int code = sync(fd);
  if (code == 0) remember(fd, std::string(platter) + "/" + name);
  return code;
}

}  // namespace

extern "C" int fsync(int fd) {
  return watched(fd, "fsync");
}
extern "C" int fdatasync(int fd) {
  return watched(fd, "fdatasync");
}
