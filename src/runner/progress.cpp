// SPDX-License-Identifier: Apache-2.0
#include "runner/progress.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>

#include "base/bytes.h"

namespace geres::runner {
namespace {

constexpr std::size_t kLineBytesMax = 4096;
constexpr int kReadsAtOnce = 4;
constexpr Millis kPauseMs = 50;

// A leading number and what follows it; nullopt if the line does not start with a number.
std::optional<std::pair<std::int32_t, std::string_view>> split_percent(std::string_view line) {
  double number = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(number)) return std::nullopt;
  line.remove_prefix(std::size_t(end - line.data()));
  if (line.starts_with('%')) line.remove_prefix(1);
  if (!line.empty() && line.front() != ' ') return std::nullopt;
  return std::pair(std::int32_t(std::clamp(number, 0.0, 100.0)), line);
}

std::string_view trimmed(std::string_view text) {
  const auto start = text.find_first_not_of(' ');
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(' ') + 1 - start);
}

}  // namespace

bool Progress::open(const std::string& path, std::uint32_t uid, std::uint32_t gid) {
  part_.clear();
  skipping_ = false;
  percent_.reset();
  message_.reset();
  sent_ = -1'000'000;
  if (path != path_ || !still_there()) {
    remove();
    if (path.empty()) return true;
    if (!make(path)) return false;
    uid_ = 0;
  }
  if (uid == uid_) return true;
  if (fchown(fifo_.get(), uid, gid) != 0) return false;
  uid_ = uid;
  return true;
}

bool Progress::make(const std::string& path) {
  if (mkfifo(path.c_str(), 0600) != 0) {
    if (errno != EEXIST || unlink(path.c_str()) != 0 || mkfifo(path.c_str(), 0600) != 0) return false;
  }
  path_ = path;
  fifo_ = Fd(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  return bool(fifo_);
}

bool Progress::still_there() const {
  struct stat ours {};
  struct stat found {};
  return fifo_ && fstat(fifo_.get(), &ours) == 0 && lstat(path_.c_str(), &found) == 0 && ours.st_ino == found.st_ino &&
         ours.st_dev == found.st_dev;
}

bool Progress::pump() {
  char buffer[16 * 1024];
  for (int reads = 0; reads < kReadsAtOnce; ++reads) {
    const ssize_t got = read(fifo_.get(), buffer, sizeof buffer);
    if (got <= 0) return false;
    for (std::string_view rest(buffer, std::size_t(got)); !rest.empty();) {
      // \r too, because a program that overwrites its line also says something new.
      const auto end = rest.find_first_of("\r\n");
      const std::string_view piece = rest.substr(0, end);
      if (!skipping_) part_.append(piece.substr(0, kLineBytesMax - part_.size()));
      if (part_.size() == kLineBytesMax) skipping_ = true;
      if (end == std::string_view::npos) break;
      read_line(part_);
      part_.clear();
      skipping_ = false;
      rest.remove_prefix(end + 1);
    }
  }
  return true;
}

void Progress::read_line(std::string_view line) {
  const std::string plain = plain_line(line);
  std::string_view message = trimmed(plain);
  if (const auto split = split_percent(message)) {
    percent_ = split->first;
    message = trimmed(split->second);
  }
  if (!message.empty()) message_ = std::string(utf8_prefix(message, kLineBytesMax));
}

void Progress::finish() {
  if (!fifo_) return;
  for (int rounds = 0; rounds < 16 && pump(); ++rounds) {  // more rounds than a full pipe needs
  }
  if (!part_.empty()) read_line(part_);  // a last line without newline, as from `printf 42 > fifo`
}

void Progress::remove() {
  fifo_.reset();
  if (!path_.empty()) unlink(path_.c_str());
  path_.clear();
}

Millis Progress::due() const {
  return percent_ || message_ ? sent_ + kPauseMs : 0;
}

std::optional<wire::RunProgress> Progress::take(Millis now, bool last) {
  if (!(percent_ || message_) || (!last && now < due())) return std::nullopt;
  wire::RunProgress news;
  news.percent = std::exchange(percent_, std::nullopt);
  news.message = std::exchange(message_, std::nullopt).value_or("");
  sent_ = now;
  return news;
}

}  // namespace geres::runner
