// SPDX-License-Identifier: Apache-2.0
#include "hub/api/broken_uploads.h"

#include <algorithm>

namespace geres::hub::api {
namespace {

constexpr Millis kKept = 120'000;
constexpr std::size_t kMost = 256;

}  // namespace

std::list<BrokenUploads::Kept>::iterator BrokenUploads::find(Uuid lease, const std::string& sha256) {
  return std::find_if(kept_.begin(), kept_.end(),
                      [&](const Kept& item) { return item.lease == lease && item.sha256 == sha256; });
}

void BrokenUploads::keep(Uuid lease, std::string sha256, std::unique_ptr<packages::Upload> upload, Millis now) {
  std::list<Kept> let_go;  // their files are removed after the lock
  const std::lock_guard lock(mutex_);
  if (const auto old = find(lease, sha256); old != kept_.end()) let_go.splice(let_go.end(), kept_, old);
  if (kept_.size() >= kMost) let_go.splice(let_go.end(), kept_, kept_.begin());
  kept_.push_back({lease, std::move(sha256), std::move(upload), now + kKept});
}

std::uint64_t BrokenUploads::received(Uuid lease, const std::string& sha256, Millis now) {
  const std::lock_guard lock(mutex_);
  const auto found = find(lease, sha256);
  return found == kept_.end() || found->until <= now ? 0 : found->upload->size();
}

std::unique_ptr<packages::Upload> BrokenUploads::take(Uuid lease, const std::string& sha256, std::uint64_t received,
                                                      Millis now) {
  const std::lock_guard lock(mutex_);
  const auto found = find(lease, sha256);
  if (found == kept_.end() || found->until <= now || found->upload->size() != received) return nullptr;
  auto upload = std::move(found->upload);
  kept_.erase(found);
  return upload;
}

void BrokenUploads::prune(Millis now) {
  std::list<Kept> let_go;
  const std::lock_guard lock(mutex_);
  for (auto at = kept_.begin(); at != kept_.end();) {
    const auto item = at++;
    if (item->until <= now) let_go.splice(let_go.end(), kept_, item);
  }
}

}  // namespace geres::hub::api
