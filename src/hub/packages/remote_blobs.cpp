// SPDX-License-Identifier: Apache-2.0
#include "hub/packages/remote_blobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "base/log.h"
#include "base/repeated.h"
#include "base/sha256.h"
#include "hub/packages/blob_cache.h"
#include "hub/packages/gathering.h"
#include "model/names.h"

namespace geres::hub::packages {
namespace {

using store::BlobKey;
using store::BlobRow;
using store::BlobState;

constexpr std::uint64_t kPartsMax = 10'000;
constexpr Millis kUploadLasts = 15 * 60'000;

objects::LinkWish upload_of(const std::string& sha256) {
  return {.use = objects::LinkWish::Use::upload, .lasts = kUploadLasts, .sha256 = sha256};
}

bool valid(std::string_view tenant, std::string_view sha256) {
  return model::is_name(tenant) && is_sha256_hex(sha256);
}

class RemoteBlobs final : public Blobs {
 public:
  RemoteBlobs(std::shared_ptr<objects::ObjectStore> store, BlobIndex& index, const Clock& clock, RemoteOptions options)
      : options_((make_private_directory(options.directory), std::move(options))),
        store_(std::move(store)),
        index_(index),
        clock_(clock),
        gathering_(options_.directory / "tmp", options_.reserve),
        cache_(options_.directory / "cache", options_.cache_bytes, options_.reserve) {
    prober_.start(options_.probe_every, [this] { probe(); });
  }

  Result<std::unique_ptr<Upload>> begin(std::string_view tenant, std::uint64_t announced) override;
  Result<OpenBlob> open(std::string_view tenant, std::string_view sha256) override;
  std::vector<std::optional<Blob>> find(std::string_view tenant, std::span<const std::string> digests) override;
  std::optional<objects::Link> link(std::string_view tenant, std::string_view sha256,
                                    const objects::LinkWish& wish) override {
    if (!valid(tenant, sha256)) return std::nullopt;
    return store_->link(object_of({std::string(tenant), std::string(sha256)}), wish);
  }
  Result<std::optional<DirectUpload>> begin_direct(std::string_view tenant, const std::string& sha256,
                                                   std::uint64_t size) override;
  Result<objects::Link> link_part(std::string_view tenant, const std::string& sha256, const std::string& parts,
                                  int number, const std::string& part_sha256) override;
  Result<Blob> end_direct(std::string_view tenant, const std::string& sha256, std::uint64_t size,
                          const std::string& parts, const std::vector<objects::UploadedPart>& sent) override;
  std::size_t sweep(Millis before) override;
  Space space() override { return gathering_.space(); }
  std::filesystem::path place() const override { return gathering_.directory(); }
  std::string trouble() const override {
    const std::lock_guard lock(mutex_);
    return trouble_;
  }
  std::string name() const override { return store_->name(); }

  Result<void> take_in(const GatheredFile& file, const BlobKey& key, std::uint64_t size);

 private:
  std::size_t sweep(BlobState state, Millis before);
  void probe();
  template <class T>
  Result<T> heard(Result<T> answer);  // passes it on

  const RemoteOptions options_;
  const std::shared_ptr<objects::ObjectStore> store_;
  BlobIndex& index_;
  const Clock& clock_;
  const Gathering gathering_;
  BlobCache cache_;
  mutable std::mutex mutex_;
  std::string trouble_;
  Millis heard_at_ = 0;  // monotonic
  Repeated prober_;      // last: it uses what is above
};

class RemoteUpload final : public Upload {
 public:
  RemoteUpload(RemoteBlobs& blobs, const Gathering& gathering, std::string tenant)
      : blobs_(blobs), tenant_(std::move(tenant)), file_(gathering) {}
  Result<void> write(std::string_view bytes) override { return file_.write(bytes); }
  std::uint64_t size() const override { return file_.size(); }
  const std::filesystem::path& file() const override { return file_.path(); }
  Result<Blob> commit(std::string_view expected_sha256) override {
    auto blob = file_.end(expected_sha256);
    if (!blob) return blob;
    if (auto taken = blobs_.take_in(file_, {tenant_, blob->sha256}, blob->size); !taken) return taken.error();
    return blob;
  }

 private:
  RemoteBlobs& blobs_;
  const std::string tenant_;
  GatheredFile file_;
};

Result<std::unique_ptr<Upload>> RemoteBlobs::begin(std::string_view tenant, std::uint64_t announced) {
  if (!model::is_name(tenant)) return fail(Code::badValue, "this cannot be a tenant's name", "/tenant");
  if (!gathering_.has_room_for(announced))
    return fail(Code::storageFull, "there is no room for this file on the hub's disk");
  return std::unique_ptr<Upload>(std::make_unique<RemoteUpload>(*this, gathering_, std::string(tenant)));
}

Result<void> RemoteBlobs::take_in(const GatheredFile& file, const BlobKey& key, std::uint64_t size) {
  const auto there = index_.claim(key, std::int64_t(size));
  if (!there) return there.error();
  if (*there) return {};
  if (auto put = heard(store_->put(object_of(key), file.fd(), size, key.sha256)); !put) return put;
  return index_.arrived(key);
}

Result<OpenBlob> RemoteBlobs::open(std::string_view tenant, std::string_view sha256) {
  const auto absent = [] { return fail(Code::unknownFile, "there is no such file"); };
  if (!valid(tenant, sha256)) return absent();
  const BlobKey key{std::string(tenant), std::string(sha256)};
  const auto row = index_.find(std::span(&key, 1)).front();
  if (!row || (row->state != BlobState::there && row->state != BlobState::fading)) return absent();
  const auto fetch = [&](GatheredFile& to) -> Result<void> {
    const auto got = heard(store_->get(object_of(key), [&](std::string_view piece) { return to.write(piece); }));
    if (got) return {};
    if (got.error().code != Code::unknownFile) return got.error();
    return fail(Code::blobStoreAway, fmt::format("{} has lost the object {}", store_->name(), object_of(key)), {},
                "restore it there, or upload the file again");
  };
  return cache_.get(key, fetch);
}

std::vector<std::optional<Blob>> RemoteBlobs::find(std::string_view tenant, std::span<const std::string> digests) {
  std::vector<std::optional<Blob>> found(digests.size());
  if (!model::is_name(tenant)) return found;
  std::vector<BlobKey> keys;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < digests.size(); ++i)
    if (is_sha256_hex(digests[i])) keys.push_back({std::string(tenant), digests[i]}), places.push_back(i);
  if (keys.empty()) return found;
  const auto rows = index_.find(keys);
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows[i] && rows[i]->state == BlobState::there)
      found[places[i]] = Blob{keys[i].sha256, std::uint64_t(rows[i]->size)};
  return found;
}

Error malformed(std::string_view tenant) {
  return model::is_name(tenant) ? fail(Code::badValue, "this is no SHA-256", "/sha256", "64 hex digits")
                                : fail(Code::badValue, "this cannot be a tenant's name", "/tenant");
}

Result<std::optional<DirectUpload>> RemoteBlobs::begin_direct(std::string_view tenant, const std::string& sha256,
                                                              std::uint64_t size) {
  if (!valid(tenant, sha256)) return malformed(tenant);
  const BlobKey key{std::string(tenant), sha256};
  const auto there = index_.claim(key, std::int64_t(size));
  if (!there) return there.error();
  DirectUpload direct{.there = *there};
  if (direct.there) return std::optional(direct);
  if (size <= options_.part_bytes) {
    direct.link = store_->link(object_of(key), upload_of(sha256));
    return direct.link ? std::optional(direct) : std::nullopt;
  }
  // Whether it can sign links is seen before something is begun that would have to be ended.
  if (!store_->link(object_of(key), upload_of(sha256))) return std::nullopt;
  auto parts = heard(store_->begin_parts(object_of(key)));
  if (!parts) return parts.error();
  direct.parts = std::move(*parts);
  direct.part_bytes = std::max(options_.part_bytes, (size + kPartsMax - 1) / kPartsMax);
  return std::optional(direct);
}

Result<objects::Link> RemoteBlobs::link_part(std::string_view tenant, const std::string& sha256,
                                             const std::string& parts, int number, const std::string& part_sha256) {
  if (!valid(tenant, sha256)) return malformed(tenant);
  auto link = store_->link_part(object_of({std::string(tenant), sha256}), parts, number, upload_of(part_sha256));
  if (!link) return fail(Code::blobStoreAway, "the store's credentials cannot sign links any more");
  return std::move(*link);
}

Result<Blob> RemoteBlobs::end_direct(std::string_view tenant, const std::string& sha256, std::uint64_t size,
                                     const std::string& parts, const std::vector<objects::UploadedPart>& sent) {
  if (!valid(tenant, sha256)) return malformed(tenant);
  const BlobKey key{std::string(tenant), sha256};
  auto object = heard(store_->find(object_of(key)));
  // A second time, because the answer to the first was lost, the parts are the object already.
  if (object && !*object && !parts.empty()) {
    if (auto ended = heard(store_->end_parts(object_of(key), parts, sent)); !ended) return ended.error();
    object = heard(store_->find(object_of(key)));
  }
  if (!object) return object.error();
  if (!*object) return fail(Code::badValue, "the file has not arrived at the store", "/sha256", "send it there first");
  if ((*object)->size != size)
    return fail(Code::badValue, fmt::format("the store has {} bytes of it", (*object)->size), "/size",
                "the file's own size");
  if (auto arrived = index_.arrived(key); !arrived) return arrived.error();
  return Blob{sha256, size};
}

template <class T>
Result<T> RemoteBlobs::heard(Result<T> answer) {
  const bool away = !answer && answer.error().code == Code::blobStoreAway;
  const std::lock_guard lock(mutex_);
  if (away != !trouble_.empty())
    log::event(away ? log::Level::err : log::Level::info, away ? "store of files away" : "store of files back",
               {{"store", store_->name()}, {"why", away ? answer.error().message : std::string()}});
  trouble_ = away ? answer.error().message : std::string();
  heard_at_ = clock_.monotonic();
  return answer;
}

// A store that nobody uses is asked now and then, so that it is known to be away before somebody needs it; one that is
// away, so that it is known to be back.
void RemoteBlobs::probe() {
  {
    const std::lock_guard lock(mutex_);
    if (trouble_.empty() && clock_.monotonic() - heard_at_ < 6 * options_.probe_every) return;
  }
  (void)heard(store_->find("geres.owner"));
}

// What is left of earlier sweeps first. What begins to fade in this one is not removed before a later one.
std::size_t RemoteBlobs::sweep(Millis before) {
  const Millis now = clock_.wall();
  std::size_t removed = sweep(BlobState::removing, now + 1);
  removed += sweep(BlobState::fading, now - options_.fade);
  sweep(BlobState::there, before);
  sweep(BlobState::arriving, before);
  return removed;
}

std::size_t RemoteBlobs::sweep(BlobState state, Millis before) {
  std::size_t removed = 0;
  BlobRow after;
  while (true) {
    const auto slice = index_.sweep(state, before, after).value();
    for (const auto& key : slice.remove) {
      cache_.forget(key);
      heard(store_->remove(object_of(key))).value();
    }
    if (!slice.remove.empty()) index_.removed(slice.remove).value();
    removed += slice.remove.size();
    if (slice.last) return removed;
    after = slice.next;
  }
}

}  // namespace

std::string object_of(const BlobKey& key) {
  return key.tenant + "/" + key.sha256;
}

Result<std::size_t> adopt_objects(objects::ObjectStore& store, BlobIndex& index) {
  std::size_t adopted = 0;
  std::string after;
  do {
    const auto page = store.list("", after);
    if (!page) return page.error();
    std::vector<BlobRow> rows;
    for (const auto& object : page->objects) {
      const auto slash = object.key.find('/');
      if (slash == std::string::npos) continue;
      BlobKey key{object.key.substr(0, slash), object.key.substr(slash + 1)};
      if (valid(key.tenant, key.sha256))
        rows.push_back({std::move(key), std::int64_t(object.size), BlobState::there, object.modified_at});
    }
    if (auto ok = index.adopt(rows); !ok) return ok.error();
    adopted += rows.size();
    after = page->next;
  } while (!after.empty());
  return adopted;
}

std::unique_ptr<Blobs> open_remote_blobs(std::shared_ptr<objects::ObjectStore> store, BlobIndex& index,
                                         const Clock& clock, RemoteOptions options) {
  return std::make_unique<RemoteBlobs>(std::move(store), index, clock, std::move(options));
}

}  // namespace geres::hub::packages
