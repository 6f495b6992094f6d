// SPDX-License-Identifier: Apache-2.0
#include "host/harvest.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include "base/bytes.h"
#include "base/sha256.h"
#include "wire/job_channel.h"

namespace geres::host {
namespace {

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr int kFileFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
constexpr int kDepthMax = 64;

bool belongs(const struct stat& facts, const JobUser& user) {
  return user.uid == 0 || facts.st_uid == user.uid;
}

Fd open_at(int directory, const std::string& name, int flags) {
  return Fd(::openat(directory, name.c_str(), flags));
}

// The regular file of the job's user below `directory`, or empty.
Fd open_regular(int directory, const std::string& name, const JobUser& user, struct stat& facts) {
  Fd file = open_at(directory, name, kFileFlags);
  if (!file || ::fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode) || !belongs(facts, user)) return Fd();
  return file;
}

std::string read_range(int fd, std::int64_t offset, std::size_t bytes) {
  std::string text(bytes, '\0');
  std::size_t have = 0;
  while (have < bytes) {
    const ssize_t got = ::pread(fd, text.data() + have, bytes - have, offset + std::int64_t(have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw std::system_error(errno, std::generic_category(), "read a job's result");
    if (got == 0) break;
    have += std::size_t(got);
  }
  text.resize(have);
  return text;
}

// What replacing bad bytes adds must not lift it over the limit again.
ResultText clean(std::string text, bool truncated) {
  ResultText result{replace_bad_utf8(text), truncated};
  std::erase(result.text, '\0');
  if (result.text.size() > wire::kResultBytesMax) {
    result.text = std::string(utf8_prefix(result.text, wire::kResultBytesMax));
    result.truncated = true;
  }
  return result;
}

// A tail that begins in the middle of a character begins after it.
std::string_view skip_half_character(std::string_view text) {
  for (int i = 0; i < 3 && !text.empty() && (static_cast<unsigned char>(text.front()) & 0xC0) == 0x80; ++i)
    text.remove_prefix(1);
  return text;
}

std::optional<ResultText> end_of_output(const Workspace& workspace) {
  const Fd file = workspace.open("stdout", kFileFlags);
  struct stat facts {};
  if (!file || ::fstat(file.get(), &facts) != 0 || facts.st_size == 0) return std::nullopt;
  const auto most = std::int64_t(wire::kResultBytesMax);
  const std::int64_t from = std::max<std::int64_t>(0, facts.st_size - most);
  std::string text = read_range(file.get(), from, std::size_t(facts.st_size - from));
  if (from > 0) text = std::string(skip_half_character(text));
  return clean(std::move(text), from > 0);
}

bool tellable(const std::string& name) {
  return valid_utf8(name) && std::none_of(name.begin(), name.end(), [](unsigned char c) { return c < 32 || c == 127; });
}

struct Walk {
  const JobUser& user;
  const OutputLimits& limits;
  std::vector<OutputFile> files;
  std::int64_t bytes = 0;
  std::int64_t seen = 0;  // entries of any kind
  std::optional<Error> error;

  void directory(Fd fd, const std::string& prefix, int depth) {
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd.get()), &::closedir);
    if (!stream) return;
    const int at = fd.release();  // the stream's now
    while (const dirent* item = ::readdir(stream.get())) {
      const std::string name = item->d_name;
      if (name == "." || name == "..") continue;
      if (++seen > limits.files * 2 + 100) return too_many();
      entry(at, name, prefix, depth);
      if (error) return;
    }
  }

  void entry(int at, const std::string& name, const std::string& prefix, int depth) {
    struct stat facts {};
    if (!tellable(name) || ::fstatat(at, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) return;
    if (S_ISDIR(facts.st_mode) && depth < kDepthMax) {
      if (Fd below = open_at(at, name, kDirectoryFlags)) directory(std::move(below), prefix + name + "/", depth + 1);
    } else if (S_ISREG(facts.st_mode) && belongs(facts, user)) {
      add(prefix + name, facts.st_size);
    }
  }

  void add(std::string path, std::int64_t size) {
    if (std::int64_t(files.size()) >= limits.files) return too_many();
    bytes += size;
    if (bytes > limits.bytes)
      error = fail(Code::tooLarge,
                   "the files in GERES_OUTPUT_DIR are larger than " + std::to_string(limits.bytes) + " bytes together");
    files.push_back({std::move(path), size, {}});
  }

  void too_many() {
    error = fail(Code::tooMany, "more than " + std::to_string(limits.files) + " files in GERES_OUTPUT_DIR");
  }
};

}  // namespace

std::optional<ResultText> read_result(const Workspace& workspace, const JobUser& user) {
  const Fd job = workspace.open("job", kDirectoryFlags);
  struct stat facts {};
  if (const Fd file = job ? open_regular(job.get(), "result", user, facts) : Fd()) {
    const bool cut = facts.st_size > std::int64_t(wire::kResultBytesMax);
    std::string text = read_range(file.get(), 0, std::min<std::size_t>(facts.st_size, wire::kResultBytesMax));
    if (cut) text = std::string(utf8_prefix(text, wire::kResultBytesMax - 3));
    return clean(std::move(text), cut);
  }
  return end_of_output(workspace);
}

bool has_output(const Workspace& workspace) {
  const std::unique_ptr<DIR, void (*)(DIR*)> stream(::fdopendir(workspace.open("job/out", kDirectoryFlags).release()),
                                                    [](DIR* d) {
                                                      if (d != nullptr) ::closedir(d);
                                                    });
  for (int entries = 0; stream && ::readdir(stream.get()) != nullptr;)
    if (++entries > 2) return true;  // "." and ".."
  return false;
}

Result<std::vector<OutputFile>> list_output(const Workspace& workspace, const JobUser& user,
                                            const OutputLimits& limits) {
  Walk walk{user, limits, {}, 0, 0, {}};
  if (Fd output = workspace.open("job/out", kDirectoryFlags)) walk.directory(std::move(output), "", 0);
  if (walk.error) return *walk.error;
  std::sort(walk.files.begin(), walk.files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return std::move(walk.files);
}

Fd open_output(const Workspace& workspace, const JobUser& user, const std::string& path) {
  Fd at = workspace.open("job/out", kDirectoryFlags);
  const std::filesystem::path parts(path);
  for (const auto& part : parts.parent_path()) {
    if (!at) return Fd();
    at = open_at(at.get(), part.native(), kDirectoryFlags);
  }
  struct stat facts {};
  return at ? open_regular(at.get(), parts.filename().native(), user, facts) : Fd();
}

Result<void> measure(const Workspace& workspace, const JobUser& user, std::vector<OutputFile>& files) {
  std::string buffer(1 << 18, '\0');
  for (auto& file : files) {
    const Fd fd = open_output(workspace, user, file.path);
    if (!fd) return fail(Code::unknownFile, "output file '" + file.path + "' cannot be read");
    Sha256 digest;
    std::int64_t size = 0;
    for (ssize_t got; (got = ::read(fd.get(), buffer.data(), buffer.size())) != 0;) {
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(Code::internal, "output file '" + file.path + "': " + std::strerror(errno));
      digest.update({buffer.data(), std::size_t(got)});
      size += got;
    }
    file.size = size;
    file.sha256 = digest.hex();
  }
  return {};
}

}  // namespace geres::host
