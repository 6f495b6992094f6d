// SPDX-License-Identifier: Apache-2.0
#include "hub/copy_blobs.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <limits>
#include <memory>
#include <system_error>

#include "base/file.h"
#include "base/sha256.h"
#include "hub/blob_place.h"
#include "hub/logs/archived_logs.h"
#include "hub/packages/directory_blobs.h"
#include "hub/packages/gathering.h"
#include "hub/packages/remote_blobs.h"
#include "hub/store/sqlite/store_file.h"
#include "objects/environment.h"
#include "objects/open.h"

namespace geres::hub {
namespace {

namespace fs = std::filesystem;
using packages::GatheredFile;
using store::BlobKey;

constexpr std::size_t kLostShown = 20;

// One end of the copy.
class End {
 public:
  virtual ~End() = default;
  virtual Result<bool> has(const BlobKey& key) = 0;
  virtual Result<void> read(const BlobKey& key, GatheredFile& to) = 0;  // unknownFile
  virtual Result<void> write(const BlobKey& key, const GatheredFile& file) = 0;
};

// Read and written beside a hub that may have it open, so without its lock: a blob is written under another name first.
class DirectoryEnd final : public End {
 public:
  explicit DirectoryEnd(fs::path directory) : directory_(std::move(directory)) {}

  Result<bool> has(const BlobKey& key) override { return fs::exists(path(key)); }
  Result<void> read(const BlobKey& key, GatheredFile& to) override {
    const Fd file(::open(path(key).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file && errno == ENOENT) return fail(Code::unknownFile, "there is no such file");
    std::array<char, 256 << 10> piece;
    while (true) {
      const auto got = file ? ::read(file.get(), piece.data(), piece.size()) : -1;
      if (got < 0) throw std::system_error(errno, std::generic_category(), "read " + path(key).string());
      if (got == 0) return {};
      if (auto ok = to.write({piece.data(), std::size_t(got)}); !ok) return ok;
    }
  }
  Result<void> write(const BlobKey& key, const GatheredFile& file) override {
    make_private_directory(directory_);
    for (const auto& part : {fs::path("tenants"), fs::path("tenants") / key.tenant,
                             fs::path("tenants") / key.tenant / key.sha256.substr(0, 2)})
      make_private_directory(directory_ / part);
    replace_file(path(key), read_file(file.path()), 0600);
    return {};
  }

 private:
  fs::path path(const BlobKey& key) const {
    return directory_ / "tenants" / key.tenant / key.sha256.substr(0, 2) / key.sha256;
  }
  const fs::path directory_;
};

class ObjectEnd final : public End {
 public:
  explicit ObjectEnd(std::unique_ptr<objects::ObjectStore> store) : store_(std::move(store)) {}

  objects::ObjectStore& store() { return *store_; }
  Result<bool> has(const BlobKey& key) override {
    const auto found = store_->find(packages::object_of(key));
    if (!found) return found.error();
    return found->has_value();
  }
  Result<void> read(const BlobKey& key, GatheredFile& to) override {
    const auto got = store_->get(packages::object_of(key), [&](std::string_view piece) { return to.write(piece); });
    return got ? Result<void>() : got.error();
  }
  Result<void> write(const BlobKey& key, const GatheredFile& file) override {
    return store_->put(packages::object_of(key), file.fd(), file.size(), key.sha256);
  }

 private:
  const std::unique_ptr<objects::ObjectStore> store_;
};

// Logs that a hub finds in its own directory.
Result<void> unpack(const fs::path& file, logs::DirectoryLogs& to, Uuid job) {
  const auto bytes = read_file(file);
  const auto read = [&](std::int64_t from, std::int64_t count) {
    return Result<std::string>(bytes.substr(std::size_t(from), std::size_t(count)));
  };
  const auto index = logs::read_log_index(std::int64_t(bytes.size()), read);
  if (!index) return index.error();
  for (const auto& log : index->logs())
    for (const auto& chunk : log.chunks) {
      const auto content =
          logs::read_log_chunk(chunk, std::string_view(bytes).substr(std::size_t(chunk.at), std::size_t(chunk.bytes)));
      if (!content) return content.error();
      to.append({job, log.attempt, log.stream}, chunk.offset, *content);
    }
  return {};
}

class LogCopier {
 public:
  LogCopier(objects::ObjectStore& from, End& to, const fs::path& data, const packages::Gathering& gathering)
      : from_(from), to_(dynamic_cast<ObjectEnd*>(&to)), data_(data), gathering_(gathering) {}

  Result<std::int64_t> copy_all() {
    std::int64_t copied = 0;
    std::string after;
    do {
      const auto page = from_.list(logs::kLogsPrefix, after);
      if (!page) return page.error();
      for (const auto& object : page->objects) {
        const auto job = parse_uuid(object.key.substr(std::string_view(logs::kLogsPrefix).size()));
        if (!job) continue;
        const auto one = copy(object.key, *job);
        if (!one) return one.error();
        copied += *one ? 1 : 0;
      }
      after = page->next;
    } while (!after.empty());
    return copied;
  }

 private:
  // False: it is there already, or the source has lost it meanwhile, as a purged job's.
  Result<bool> copy(const std::string& key, Uuid job) {
    if (to_) {
      const auto there = to_->store().find(key);
      if (!there) return there.error();
      if (*there) return false;
    } else if (!here_.of(job).empty()) {
      return false;
    }
    GatheredFile file(gathering_);
    const auto got = from_.get(key, [&](std::string_view piece) { return file.write(piece); });
    if (!got && got.error().code == Code::unknownFile) return false;
    if (!got) return got.error();
    const auto blob = file.end({});
    if (!blob) return blob.error();
    const auto kept =
        to_ ? to_->store().put(key, file.fd(), blob->size, blob->sha256) : unpack(file.path(), here_, job);
    if (!kept) return kept.error();
    return true;
  }

  objects::ObjectStore& from_;
  ObjectEnd* const to_;
  const fs::path data_;
  const packages::Gathering& gathering_;
  logs::DirectoryLogs here_{data_ / "logs", std::numeric_limits<std::int64_t>::max()};
};

Result<std::unique_ptr<End>> open_end(const std::string& place, const std::string& flag, const std::string& log) {
  if (place.starts_with("dir:")) return std::unique_ptr<End>(std::make_unique<DirectoryEnd>(place.substr(4)));
  auto opened = objects::open_object_store(place, objects::process_environment);
  if (!opened) {
    auto error = opened.error();
    error.field = flag;
    return error;
  }
  auto end = std::make_unique<ObjectEnd>(std::move(*opened));
  if (auto ok = end->store().check(); !ok) return ok.error();
  if (auto ok = claim_place(end->store(), log); !ok) return ok.error();
  return std::unique_ptr<End>(std::move(end));
}

}  // namespace

Result<CopiedBlobs> copy_blobs(const fs::path& data, const fs::path& store, const std::string& from,
                               const std::string& to, const std::function<void(const CopiedBlobs&)>& progress) {
  if (from == to) return fail(Code::badValue, "both places are the same", "--to", "another place");
  hub::store::StoreNames names(store);
  const auto log = names.log();
  const auto source = open_end(from, "--from", log);
  if (!source) return source.error();
  const auto target = open_end(to, "--to", log);
  if (!target) return target.error();
  std::vector<BlobKey> keys;
  names.each_blob([&](const std::string& tenant, const std::string& sha256) { keys.push_back({tenant, sha256}); });

  CopiedBlobs done;
  done.named = std::int64_t(keys.size());
  const packages::Gathering gathering(data / "blobs.copying", packages::kReserveBytes);
  const auto clean = [&] { fs::remove_all(gathering.directory()); };
  for (const auto& key : keys) {
    const auto there = (*target)->has(key);
    if (!there) return clean(), there.error();
    if (*there) {
      ++done.there;
    } else {
      GatheredFile file(gathering);
      auto copied = (*source)->read(key, file);
      const bool whole = copied && file.end(key.sha256);
      if (!copied && copied.error().code != Code::unknownFile) return clean(), copied.error();
      if (!whole) {
        if (++done.lost_count <= std::int64_t(kLostShown)) done.lost.push_back(packages::object_of(key));
      } else if (copied = (*target)->write(key, file); !copied) {
        return clean(), copied.error();
      } else {
        ++done.copied;
        done.bytes += std::int64_t(file.size());
      }
    }
    if (progress) progress(done);
  }
  if (auto* objects = dynamic_cast<ObjectEnd*>(source->get())) {
    const auto copied = LogCopier(objects->store(), **target, data, gathering).copy_all();
    if (!copied) return clean(), copied.error();
    done.logs = *copied;
  }
  clean();
  if (done.lost_count == 0) note_copied_blobs(data, to);
  return done;
}

}  // namespace geres::hub
