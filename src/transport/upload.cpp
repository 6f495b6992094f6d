// SPDX-License-Identifier: Apache-2.0
#include "transport/upload.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace geres::transport {
namespace {

constexpr std::size_t kReadBefore = 256 << 10;

ssize_t read_some(int fd, char* into, std::size_t bytes, std::int64_t at) {
  for (;;) {
    const ssize_t got = ::pread(fd, into, bytes, at);
    if (got >= 0 || errno != EINTR) return got;
  }
}

}  // namespace

Upload::Upload(const std::filesystem::path& file)
    : fd_(std::make_shared<Fd>(::open(file.c_str(), O_RDONLY | O_CLOEXEC))) {
  struct stat facts {};
  if (!*fd_ || ::fstat(fd_->get(), &facts) != 0) throw std::system_error(errno, std::generic_category(), file.string());
  start_.resize(kReadBefore);
  std::size_t have = 0;
  for (ssize_t got = 1; got > 0 && have < start_.size(); have += std::size_t(got)) {
    got = read_some(fd_->get(), start_.data() + have, start_.size() - have, std::int64_t(have));
    if (got < 0) throw std::system_error(errno, std::generic_category(), file.string());
  }
  start_.resize(have);
  if (have < kReadBefore)
    size_ = std::int64_t(have);  // that is the whole file
  else if (facts.st_size >= std::int64_t(have))
    size_ = facts.st_size;
}

ssize_t Upload::read(std::span<char> into) {
  std::size_t most = into.size();
  if (size_) most = std::min<std::size_t>(most, std::size_t(*size_ - at_));
  if (most == 0) return 0;
  ssize_t got = 0;
  if (at_ < std::int64_t(start_.size())) {
    got = ssize_t(std::min(most, start_.size() - std::size_t(at_)));
    std::memcpy(into.data(), start_.data() + at_, std::size_t(got));
  } else {
    got = read_some(fd_->get(), into.data(), most, from_ + at_);
  }
  changed_ = got == 0 && size_.has_value();
  if (got < 0 || changed_) return -1;
  at_ += got;
  return got;
}

bool Upload::seek(std::int64_t offset) {
  at_ = offset;
  return offset >= 0 && (!size_ || offset <= *size_);
}

}  // namespace geres::transport
