// SPDX-License-Identifier: Apache-2.0
// An object store in memory that can be away, for tests of what a hub does then. Real servers are in objects/.
#pragma once

#include <unistd.h>

#include <map>
#include <mutex>
#include <string>

#include "objects/object_store.h"

namespace geres::hub::logs {

class MemoryObjects final : public objects::ObjectStore {
 public:
  std::map<std::string, std::string> objects;
  bool away = false;
  int puts = 0, gets = 0;
  std::uint64_t bytes_read = 0;

  Result<void> put(const std::string& key, const Fd& file, std::uint64_t size, std::string_view) override {
    const std::lock_guard lock(mutex_);
    if (away) return gone();
    std::string bytes(size, '\0');
    if (::pread(file.get(), bytes.data(), bytes.size(), 0) != ssize_t(size)) std::abort();
    objects[key] = std::move(bytes);
    ++puts;
    return {};
  }
  Result<objects::Object> get(const std::string& key, const Take& take, objects::Range range) override {
    const std::lock_guard lock(mutex_);
    if (away) return gone();
    const auto found = objects.find(key);
    if (found == objects.end()) return fail(Code::unknownFile, "there is no such object");
    ++gets;
    const auto last = range.last ? *range.last : found->second.size() - 1;
    const auto piece = found->second.substr(range.first, last - range.first + 1);
    bytes_read += piece.size();
    if (auto ok = take(piece); !ok) return ok.error();
    return objects::Object{key, found->second.size(), {}, 0};
  }
  Result<std::optional<objects::Object>> find(const std::string& key) override {
    const std::lock_guard lock(mutex_);
    if (away) return gone();
    const auto found = objects.find(key);
    if (found == objects.end()) return std::optional<objects::Object>();
    return std::optional(objects::Object{key, found->second.size(), {}, 0});
  }
  Result<void> remove(const std::string& key) override {
    const std::lock_guard lock(mutex_);
    if (away) return gone();
    objects.erase(key);
    return {};
  }
  Result<void> copy(const std::string&, const std::string&) override { return gone(); }
  Result<objects::ObjectPage> list(const std::string& prefix, const std::string& after, int max) override {
    const std::lock_guard lock(mutex_);
    if (away) return gone();
    objects::ObjectPage page;
    for (auto at = objects.upper_bound(after); at != objects.end(); ++at) {
      if (!at->first.starts_with(prefix)) continue;
      if (int(page.objects.size()) == max) {
        page.next = page.objects.back().key;
        break;
      }
      page.objects.push_back({at->first, at->second.size(), {}, 0});
    }
    return page;
  }
  std::optional<objects::Link> link(const std::string&, const objects::LinkWish&) override { return std::nullopt; }
  Result<std::string> begin_parts(const std::string&) override { return gone(); }
  std::optional<objects::Link> link_part(const std::string&, const std::string&, int,
                                         const objects::LinkWish&) override {
    return std::nullopt;
  }
  Result<void> end_parts(const std::string&, const std::string&, const std::vector<objects::UploadedPart>&) override {
    return gone();
  }
  Result<void> check() override { return {}; }
  const std::string& name() const override { return name_; }

 private:
  static Error gone() { return fail(Code::blobStoreAway, "the store does not answer"); }
  std::mutex mutex_;
  const std::string name_ = "memory";
};

}  // namespace geres::hub::logs
