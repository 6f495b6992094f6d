// SPDX-License-Identifier: Apache-2.0
#include "runner/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/bytes.h"

namespace geres::runner {
namespace {

constexpr std::int64_t kShareBytes = 256 * 1024;
constexpr std::int64_t kRestBytesMax = 4 << 20;  // more than a pipe holds without privileges (1 MiB)
// As large as a result, so that a small cap does not cut the end of a job's output.
constexpr std::int64_t kRingBytesMin = 64 * 1024;
constexpr std::size_t kTailBytes = 2048;
constexpr std::size_t kLastLineBytes = 300;

char buffer[64 * 1024];  // one thread

}  // namespace

bool Output::open(const std::string& path, std::int64_t bytes_max) {
  path_ = path;
  ring_max_ = std::max(bytes_max / 4, std::min(kRingBytesMin, bytes_max / 2));
  head_max_ = bytes_max - ring_max_;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  pipe_ = Fd(ends[0]);
  job_end_ = Fd(ends[1]);
  fcntl(pipe_.get(), F_SETFL, O_NONBLOCK);  // our end only; the job's end stays blocking
  return true;
}

bool Output::pump() {
  for (std::int64_t done = 0; done < kShareBytes;) {
    const std::int64_t got = read_some();
    if (got <= 0) return got != 0;
    done += got;
    if (got < std::int64_t(sizeof buffer)) return true;  // a short read: the pipe is empty, which saves another read
  }
  return true;
}

void Output::finish() {
  std::int64_t got = 1;
  for (std::int64_t done = 0; pipe_ && got > 0 && done < kRestBytesMax; done += got) got = read_some();
  append_ring();
  pipe_.reset();
  job_end_.reset();
  file_.reset();
  ring_.reset();
}

std::int64_t Output::read_some() {
  ssize_t got;
  do got = read(pipe_.get(), buffer, sizeof buffer);
  while (got < 0 && errno == EINTR);
  if (got <= 0) return got;
  const std::string_view bytes(buffer, std::size_t(got));
  result_.printedBytes += got;
  remember(bytes);
  keep(bytes);
  return got;
}

void Output::keep(std::string_view bytes) {
  if (broken_ || path_.empty()) return;
  if (ring_max_ == 0) return void(result_.cut = true);
  const auto room = std::size_t(std::max<std::int64_t>(0, head_max_ - result_.keptBytes));
  append(bytes.substr(0, room));
  if (bytes.size() > room) keep_in_ring(bytes.substr(room));
}

void Output::keep_in_ring(std::string_view bytes) {
  const auto name = path_ + ".end";
  if (!ring_) {
    ring_ = Fd(::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (ring_) unlink(name.c_str());
  }
  while (!bytes.empty() && !broken_) {
    const std::int64_t at = ring_came_ % ring_max_;
    const auto piece = bytes.substr(0, std::size_t(ring_max_ - at));
    broken_ = !ring_ || !write_at(ring_.get(), piece, at);
    ring_came_ += std::int64_t(piece.size());
    bytes.remove_prefix(piece.size());
  }
  if (broken_) result_.cut = true;
}

bool Output::write_at(int fd, std::string_view bytes, std::int64_t offset) {
  while (!bytes.empty()) {
    const ssize_t put = pwrite(fd, bytes.data(), bytes.size(), offset);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    offset += put;
    bytes.remove_prefix(std::size_t(put));
  }
  return true;
}

void Output::append_ring() {
  if (!ring_ || broken_) return;
  const std::int64_t left_out = ring_came_ - ring_max_;
  if (left_out > 0) {
    result_.cut = true;
    append("\n[geres: " + std::to_string(left_out) + " bytes are left out here]\n");
  }
  for (std::int64_t at = std::max<std::int64_t>(left_out, 0); at < ring_came_ && !broken_;) {
    const std::int64_t from = at % ring_max_;
    const auto wanted = std::min({std::int64_t(sizeof buffer), ring_max_ - from, ring_came_ - at});
    const ssize_t got = pread(ring_.get(), buffer, std::size_t(wanted), from);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    append({buffer, std::size_t(got)});
    at += got;
  }
}

void Output::append(std::string_view bytes) {
  if (bytes.empty()) return;
  if (!file_) file_ = Fd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  while (!bytes.empty()) {
    const ssize_t put = file_ ? write(file_.get(), bytes.data(), bytes.size()) : -1;
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      broken_ = result_.cut = true;
      return;
    }
    result_.keptBytes += put;
    bytes.remove_prefix(std::size_t(put));
  }
}

void Output::remember(std::string_view bytes) {
  if (bytes.size() >= kTailBytes) {
    tail_.assign(bytes.substr(bytes.size() - kTailBytes));
    return;
  }
  tail_.append(bytes);
  if (tail_.size() > 2 * kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
}

std::string Output::last_line() const {
  for (std::string_view rest = tail_; !rest.empty();) {
    const auto before = rest.find_last_of("\r\n");
    std::string line = plain_line(rest.substr(before + 1));  // if there is none, npos + 1 is 0
    line.erase(line.find_last_not_of(' ') + 1);
    // Skip a line that has only colours and blanks.
    if (!line.empty()) return std::string(utf8_prefix(line, kLastLineBytes));
    rest = rest.substr(0, before == std::string_view::npos ? 0 : before);
  }
  return {};
}

}  // namespace geres::runner
