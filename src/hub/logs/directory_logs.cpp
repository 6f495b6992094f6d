// SPDX-License-Identifier: Apache-2.0
#include "hub/logs/directory_logs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <tuple>

namespace geres::hub::logs {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void failed(const fs::path& path) {
  throw std::system_error(errno, std::generic_category(), path.string());
}

Fd open_for_append(const fs::path& path) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
  Fd fd(::open(path.c_str(), kFlags, 0600));
  if (!fd && errno == ENOENT) {
    fs::create_directories(path.parent_path());
    fd = Fd(::open(path.c_str(), kFlags, 0600));
  }
  if (!fd) failed(path);
  return fd;
}

// Empty: there is none.
Fd open_for_reading(const fs::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno != ENOENT) failed(path);
  return fd;
}

std::int64_t size_of(const Fd& fd, const fs::path& path) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) failed(path);
  return status.st_size;
}

std::string read_at(const Fd& fd, const fs::path& path, std::int64_t offset, std::size_t bytes_max) {
  std::string bytes(bytes_max, '\0');
  const ssize_t n = ::pread(fd.get(), bytes.data(), bytes.size(), offset);
  if (n < 0) failed(path);
  bytes.resize(std::size_t(n));
  return bytes;
}

}  // namespace

std::optional<Stream> parse_stream(std::string_view name) {
  if (name == "stdout") return Stream::out;
  if (name == "stderr") return Stream::err;
  return std::nullopt;
}

std::string_view stream_name(Stream stream) {
  return stream == Stream::out ? "stdout" : "stderr";
}

DirectoryLogs::DirectoryLogs(fs::path directory, std::int64_t bytes_max)
    : directory_(std::move(directory)), bytes_max_(bytes_max) {
  make_private_directory(directory_);
}

fs::path DirectoryLogs::directory_of(Uuid job) const {
  const std::string id = job.str();
  return directory_ / id.substr(id.size() - 2) / id;
}

fs::path DirectoryLogs::file_of(const LogName& log) const {
  return directory_of(log.job) / (std::to_string(log.attempt) + "." + std::string(stream_name(log.stream)));
}

bool DirectoryLogs::append(const LogName& log, std::int64_t offset, std::string_view bytes) {
  if (offset < 0) return false;
  const std::lock_guard lock(lock_of(log.job));
  const auto path = file_of(log);
  const Fd fd = open_for_append(path);
  const std::int64_t size = size_of(fd, path);
  if (offset > size) return size >= bytes_max_;  // beyond the cap everything is accepted and dropped
  const std::int64_t known = std::min<std::int64_t>(size - offset, std::int64_t(bytes.size()));
  bytes.remove_prefix(std::size_t(known));
  bytes = bytes.substr(0, std::size_t(std::max<std::int64_t>(0, bytes_max_ - size)));
  if (bytes.empty()) return true;
  if (::lseek(fd.get(), 0, SEEK_END) < 0) failed(path);
  write_all(fd.get(), bytes);
  return true;
}

Result<std::int64_t> DirectoryLogs::size(const LogName& log) {
  struct stat status {};
  if (::stat(file_of(log).c_str(), &status) != 0) return 0;
  return std::int64_t(status.st_size);
}

Result<std::string> DirectoryLogs::read(const LogName& log, std::int64_t offset, std::size_t bytes_max) {
  const auto path = file_of(log);
  const Fd fd = open_for_reading(path);
  return fd ? read_at(fd, path, offset, bytes_max) : std::string();
}

Result<std::int64_t> DirectoryLogs::tail_offset(const LogName& log, std::int64_t lines) {
  const auto path = file_of(log);
  const Fd fd = open_for_reading(path);
  if (!fd) return 0;
  const std::int64_t size = size_of(fd, path);
  if (lines <= 0) return size;
  std::int64_t end = size;
  while (end > 0) {
    const std::int64_t start = std::max<std::int64_t>(0, end - 65'536);
    const std::string piece = read_at(fd, path, start, std::size_t(end - start));
    for (std::int64_t i = std::int64_t(piece.size()) - 1; i >= 0; --i)
      if (piece[std::size_t(i)] == '\n' && start + i + 1 < size && --lines == 0) return start + i + 1;
    end = start;
  }
  return 0;
}

void DirectoryLogs::remove(Uuid job) noexcept {
  std::error_code ignored;
  fs::remove_all(directory_of(job), ignored);
}

bool DirectoryLogs::has(const LogName& log) const {
  return fs::exists(file_of(log));
}

std::vector<LogName> DirectoryLogs::of(Uuid job) const {
  std::vector<LogName> found;
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(directory_of(job), absent)) {
    const auto name = entry.path().filename().string();
    const auto stream = parse_stream(name.substr(std::min(name.find('.'), name.size() - 1) + 1));
    const int attempt = std::atoi(name.c_str());
    if (stream && attempt > 0) found.push_back({job, attempt, *stream});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::tuple(a.attempt, a.stream) < std::tuple(b.attempt, b.stream);
  });
  return found;
}

void DirectoryLogs::each_job(const std::function<void(Uuid job)>& visit) const {
  std::error_code absent;
  for (const auto& part : fs::directory_iterator(directory_, absent))
    for (const auto& entry : fs::directory_iterator(part, absent))
      if (const auto job = parse_uuid(entry.path().filename().string())) visit(*job);
}

}  // namespace geres::hub::logs
