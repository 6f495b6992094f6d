// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/space_reserve.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "base/file.h"

namespace geres::hub::store::sqlite {
namespace {

std::int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

}  // namespace

SpaceReserve::SpaceReserve(std::filesystem::path file, std::int64_t bytes) : file_(std::move(file)), bytes_(bytes) {
  if (bytes_ > 0) spent_ = !allot();
}

void SpaceReserve::spend() noexcept {
  if (bytes_ <= 0) return;
  ::unlink(file_.c_str());
  spent_ = true;
  next_try_ = now_ms() + 1'000;
}

void SpaceReserve::restore() noexcept {
  if (!spent_ || now_ms() < next_try_) return;
  spent_ = !allot();
  next_try_ = now_ms() + 1'000;
}

// A file system that cannot allot room ahead gives no reserve, and no reason to refuse anything.
bool SpaceReserve::allot() noexcept {
  const Fd fd(::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return errno != ENOSPC && errno != EDQUOT;
  if (::fallocate(fd.get(), 0, 0, bytes_) == 0 || errno == EOPNOTSUPP || errno == ENOSYS) return true;
  ::unlink(file_.c_str());
  return false;
}

}  // namespace geres::hub::store::sqlite
