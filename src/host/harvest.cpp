// SPDX-License-Identifier: Apache-2.0
#include "host/harvest.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include "base/bytes.h"
#include "base/duration.h"
#include "base/sha256.h"
#include "model/names.h"
#include "wire/job_channel.h"

namespace geres::host {
namespace {

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr int kFileFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
constexpr std::int64_t kSeenNamesSum = 32LL << 20;  // the paths of all entries that are looked at
constexpr std::int64_t kKeptNamesSum = 4LL << 20;   // so that a report with them is not larger than a hub accepts
constexpr std::size_t kToldPathBytesMax = 500;
constexpr std::size_t kWhyBytesMax = 300;

bool belongs(const struct stat& facts, const JobUser& user) {
  return user.uid == 0 || facts.st_uid == user.uid;
}

Fd open_at(int directory, const std::string& name, int flags) {
  return Fd(::openat(directory, name.c_str(), flags));
}

// Opens a regular file below `directory` that belongs to the job's user; else empty.
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

// A tail may begin in the middle of a character; drops the rest of that character.
std::string_view skip_half_character(std::string_view text) {
  for (int i = 0; i < 3 && !text.empty() && (static_cast<unsigned char>(text.front()) & 0xC0) == 0x80; ++i)
    text.remove_prefix(1);
  return text;
}

enum class Keep { beginning, end };

// Replacing bad bytes makes the text longer; the result must stay within the limit.
ResultText clean(std::string text, bool truncated, Keep keep) {
  ResultText result{replace_bad_utf8(text), truncated};
  std::erase(result.text, '\0');
  if (result.text.size() <= wire::kResultBytesMax) return result;
  const std::string_view whole = result.text;
  result.text =
      std::string(keep == Keep::beginning ? utf8_prefix(whole, wire::kResultBytesMax)
                                          : skip_half_character(whole.substr(whole.size() - wire::kResultBytesMax)));
  result.truncated = true;
  return result;
}

std::optional<ResultText> end_of_output(const Workspace& workspace) {
  const Fd file = workspace.open("stdout", kFileFlags);
  struct stat facts {};
  if (!file || ::fstat(file.get(), &facts) != 0 || facts.st_size == 0) return std::nullopt;
  const auto most = std::int64_t(wire::kResultBytesMax);
  const std::int64_t from = std::max<std::int64_t>(0, facts.st_size - most);
  std::string text = read_range(file.get(), from, std::size_t(facts.st_size - from));
  if (from > 0) text = std::string(skip_half_character(text));
  return clean(std::move(text), from > 0, Keep::end);
}

// ---- what lies in the output directory

std::string counted(std::int64_t number, const char* what) {
  return std::to_string(number) + " " + what;
}

// A path as JSON can hold it, whatever bytes it has.
std::string told_path(std::string_view path) {
  std::string told = escape_bad_utf8(path);
  if (told.size() <= kToldPathBytesMax) return told;
  return std::string(utf8_prefix(told, kToldPathBytesMax)) + "…";
}

std::string unreadable(int error) {
  return std::string("it cannot be read: ") + std::strerror(error);
}

// The kind of something that is neither file nor directory nor link.
std::string kind_of(mode_t mode) {
  if (S_ISFIFO(mode)) return "a pipe (FIFO)";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

constexpr const char* kNotItsOwn = "it belongs to another user";

Fd open_output_directory(const Workspace& workspace) {
  return workspace.open("job/out", kDirectoryFlags);
}

// Opens the directory at `path` (empty: `root` itself), part by part and through no link. Empty: errno says why not.
Fd open_directory(int root, const std::string& path) {
  Fd at = open_at(root, ".", kDirectoryFlags);
  for (std::size_t start = 0; at && start < path.size();) {
    const auto end = std::min(path.find('/', start), path.size());
    at = open_at(at.get(), path.substr(start, end - start), kDirectoryFlags);
    start = end + 1;
  }
  return at;
}

// Follows links that stay below `root`; EXDEV where one would lead out.
Fd open_below(int root, const std::string& path, int flags) {
  open_how how{};
  how.flags = std::uint64_t(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return Fd(int(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
}

Fd open_regular_below(int root, const std::string& path, const JobUser& user) {
  Fd file = open_below(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  struct stat facts {};
  if (!file || ::fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode) || !belongs(facts, user)) return Fd();
  return file;
}

std::string why_not_followed(int error) {
  switch (error) {
    case EXDEV:
      return "a link to outside of GERES_OUTPUT_DIR";
    case ENOENT:
    case ENOTDIR:
      return "a link to what is not there";
    case ELOOP:
      return "a link that leads in a circle";
    default:
      return std::string("a link that cannot be followed: ") + std::strerror(error);
  }
}

std::string read_link(int directory, const std::string& name) {
  char target[4'096];
  const ssize_t length = ::readlinkat(directory, name.c_str(), target, sizeof target);
  return {target, std::size_t(std::max<ssize_t>(length, 0))};
}

// Goes through the directories one after the other instead of recursing, because an open descriptor for each level
// would soon use them all up.
struct Walk {
  const Workspace& workspace;
  const JobUser& user;
  const OutputLimits& limits;
  Harvest harvest;
  Fd root;
  std::vector<std::string> to_do{""};  // directories, each with a "/" at the end
  std::int64_t seen = 0, names = 0;    // entries of any kind, and the bytes of their paths
  bool enough = false;

  void run() {
    while (!to_do.empty() && !enough) {
      const std::string prefix = std::move(to_do.back());
      to_do.pop_back();
      directory(prefix);
    }
    std::sort(harvest.files.begin(), harvest.files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  }

  void directory(const std::string& prefix) {
    const std::string path = prefix.empty() ? "." : prefix.substr(0, prefix.size() - 1);
    Fd fd = open_directory(root.get(), prefix);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(fd ? ::fdopendir(fd.get()) : nullptr, &::closedir);
    if (!stream) return harvest.leave_out(path, unreadable(errno));
    const int at = fd.release();  // from here on the stream owns it
    bool empty = true;
    for (errno = 0; const dirent* item = ::readdir(stream.get()); errno = 0) {
      const std::string name = item->d_name;
      if (name == "." || name == "..") continue;
      empty = false;
      names += std::int64_t(prefix.size() + name.size());
      if (++seen > limits.entries || names > kSeenNamesSum) return stop(path);
      entry(at, name, prefix + name);
    }
    if (errno != 0) return harvest.leave_out(path, unreadable(errno));
    if (empty && !prefix.empty()) harvest.leave_out(path, "an empty directory, and files alone are kept");
  }

  void stop(const std::string& path) {
    enough = true;
    harvest.leave_out(path, "what comes from here on was not looked at: more than " +
                                counted(limits.entries, "entries or ") + format_size(kSeenNamesSum) + " of names");
  }

  void entry(int at, const std::string& name, const std::string& path) {
    struct stat facts {};
    if (const auto told = model::check_relative_path(path, ""); !told)
      return harvest.leave_out(path, told.error().message);
    if (::fstatat(at, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0)
      return harvest.leave_out(path, unreadable(errno));
    if (S_ISDIR(facts.st_mode)) return to_do.push_back(path + "/");
    if (S_ISLNK(facts.st_mode)) return link(at, name, path);
    if (!S_ISREG(facts.st_mode)) return harvest.leave_out(path, kind_of(facts.st_mode));
    if (!belongs(facts, user)) return harvest.leave_out(path, kNotItsOwn);
    harvest.files.push_back({path, {}, facts.st_size, {}});
  }

  // A link to a file within the directory is kept as that file, under the link's name. A job that writes
  // $GERES_OUTPUT_DIR/x into a link also means a place within.
  void link(int at, const std::string& name, const std::string& path) {
    std::string through = path;
    const std::string here = workspace.output().native() + "/";
    if (const auto target = read_link(at, name); target.starts_with(here)) through = target.substr(here.size());
    struct stat facts {};
    const Fd end = open_below(root.get(), through, O_PATH | O_CLOEXEC);
    if (!end || ::fstat(end.get(), &facts) != 0) return harvest.leave_out(path, why_not_followed(errno));
    if (S_ISDIR(facts.st_mode)) return harvest.leave_out(path, "a link to a directory");
    if (!S_ISREG(facts.st_mode)) return harvest.leave_out(path, "a link to " + kind_of(facts.st_mode));
    if (!belongs(facts, user)) return harvest.leave_out(path, kNotItsOwn);
    harvest.files.push_back({path, through, facts.st_size, {}});
  }
};

// Keeps as many files as the limits allow, in the order of their paths.
void keep_within(const OutputLimits& limits, Harvest& harvest) {
  std::int64_t number = 0, bytes = 0, names = 0;
  std::vector<OutputFile> kept;
  for (auto& file : harvest.files) {
    const auto name = std::int64_t(file.path.size());
    if (number >= limits.files)
      harvest.leave_out(file.path, "no more than " + counted(limits.files, "files are kept"));
    else if (names + name > kKeptNamesSum)
      harvest.leave_out(file.path, "the names of the files take more than " + format_size(kKeptNamesSum));
    else if (bytes + file.size > limits.bytes)
      harvest.leave_out(file.path, "too large: no more than " + format_size(limits.bytes) + " are kept in all");
    else
      ++number, names += name, bytes += file.size, kept.push_back(std::move(file));
  }
  harvest.files = std::move(kept);
}

// Size and digest come from reading the file, whatever stat says. Returns why the file cannot be kept; empty: it can.
std::string measure_file(const Workspace& workspace, const JobUser& user, std::string& buffer, OutputFile& file) {
  errno = 0;
  const Fd fd = open_output(workspace, user, file);
  if (!fd) return errno != 0 ? unreadable(errno) : std::string("it changed while it was read");
  Sha256 digest;
  std::int64_t size = 0;
  for (ssize_t got; (got = ::read(fd.get(), buffer.data(), buffer.size())) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unreadable(errno);
    digest.update({buffer.data(), std::size_t(got)});
    size += got;
  }
  file.size = size;
  file.sha256 = digest.hex();
  return {};
}

// Why the job's result file is not usable; empty: there is none, or it is good.
std::string result_trouble(const Workspace& workspace, const JobUser& user) {
  const Fd job = workspace.open("job", kDirectoryFlags);
  struct stat facts {};
  if (!job || ::fstatat(job.get(), "result", &facts, AT_SYMLINK_NOFOLLOW) != 0) return {};
  if (S_ISLNK(facts.st_mode)) return "a link, and a result is written into the file itself";
  if (S_ISDIR(facts.st_mode)) return "a directory";
  if (!S_ISREG(facts.st_mode)) return kind_of(facts.st_mode);
  if (!belongs(facts, user)) return kNotItsOwn;
  return open_at(job.get(), "result", kFileFlags) ? std::string() : unreadable(errno);
}

}  // namespace

std::optional<ResultText> read_result(const Workspace& workspace, const JobUser& user) {
  const Fd job = workspace.open("job", kDirectoryFlags);
  struct stat facts {};
  if (const Fd file = job ? open_regular(job.get(), "result", user, facts) : Fd()) {
    const bool cut = facts.st_size > std::int64_t(wire::kResultBytesMax);
    std::string text = read_range(file.get(), 0, std::min<std::size_t>(facts.st_size, wire::kResultBytesMax));
    if (cut) text = std::string(utf8_prefix(text, wire::kResultBytesMax - 3));
    return clean(std::move(text), cut, Keep::beginning);
  }
  return end_of_output(workspace);
}

void Harvest::leave_out(std::string_view path, std::string why) {
  left_out.add({told_path(path), std::string(utf8_prefix(why, kWhyBytesMax))});
}

bool has_output(const Workspace& workspace, const JobUser& user) {
  if (!result_trouble(workspace, user).empty()) return true;
  Fd output = workspace.open("job/out", kDirectoryFlags);
  if (!output) return errno != ENOENT;  // something is there, and will be reported
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(output.release()), &::closedir);
  for (int entries = 0; stream && ::readdir(stream.get()) != nullptr;)
    if (++entries > 2) return true;  // "." and ".."
  return false;
}

Harvest gather_output(const Workspace& workspace, const JobUser& user, const OutputLimits& limits) {
  Walk walk{workspace, user, limits, {}, open_output_directory(workspace)};
  const int error = errno;
  if (const auto trouble = result_trouble(workspace, user); !trouble.empty())
    walk.harvest.leave_out("GERES_RESULT", trouble);
  if (!walk.root) {
    if (error != ENOENT) walk.harvest.leave_out(".", "GERES_OUTPUT_DIR itself: " + unreadable(error));
    return std::move(walk.harvest);
  }
  walk.run();
  keep_within(limits, walk.harvest);
  std::string buffer(1 << 18, '\0');
  std::erase_if(walk.harvest.files, [&](OutputFile& file) {
    std::string why = measure_file(workspace, user, buffer, file);
    if (!why.empty()) walk.harvest.leave_out(file.path, why);
    return !why.empty();
  });
  keep_within(limits, walk.harvest);  // again, because files may have grown, or may contain more than stat says
  return std::move(walk.harvest);
}

Fd open_output(const Workspace& workspace, const JobUser& user, const OutputFile& file) {
  const Fd root = open_output_directory(workspace);
  if (!root) return Fd();
  if (!file.through.empty()) return open_regular_below(root.get(), file.through, user);
  const auto slash = file.path.rfind('/');
  const bool deep = slash != std::string::npos;
  const Fd at = open_directory(root.get(), deep ? file.path.substr(0, slash) : std::string());
  struct stat facts {};
  return at ? open_regular(at.get(), deep ? file.path.substr(slash + 1) : file.path, user, facts) : Fd();
}

}  // namespace geres::host
