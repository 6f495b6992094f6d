// SPDX-License-Identifier: Apache-2.0
#include "hub/packages/package_import.h"

#include <fmt/format.h>

#include <set>

#include "base/bytes.h"
#include "base/log.h"
#include "package/archive.h"

namespace geres::hub::packages {
namespace {

constexpr std::string_view kCommands = "cmd-";  // made by `geres run` and `submit` of a command: nobody looks for them

}  // namespace

PackageImport::PackageImport(std::shared_ptr<objects::ObjectStore> store, Layout layout, Blobs& blobs,
                             Catalogue catalogue, const Clock& clock, std::int64_t bytes_max)
    : store_(std::move(store)),
      layout_(std::move(layout)),
      blobs_(blobs),
      catalogue_(std::move(catalogue)),
      clock_(clock),
      bytes_max_(bytes_max) {}

void PackageImport::start(Millis every) {
  repeated_.start(every, [this] {
    try {
      const auto round = sync();
      if (const bool away = !round; away != std::exchange(away_, away))
        log::event(away ? log::Level::err : log::Level::info,
                   away ? "packages are not looked for" : "packages are looked for again",
                   {{"store", store_->name()}, {"why", away ? round.error().message : std::string()}});
    } catch (const std::exception& what) {
      log::warn("looking for packages in {} failed: {}", store_->name(), what.what());
    }
  });
}

PackageImport::Newest PackageImport::newest() const {
  Newest newest;
  for (auto& version : catalogue_.all()) {
    if (version.name.starts_with(kCommands)) continue;
    auto& best = newest[{version.tenant, version.name}];
    if (best.version < version.version) best = std::move(version);
  }
  return newest;
}

Result<PackageImport::Round> PackageImport::sync() {
  const std::lock_guard lock(syncing_);
  Round round;
  const auto before = newest();
  std::set<std::string> there;
  std::string after;
  do {
    const auto page = store_->list("", after);
    if (!page) return page.error();
    for (const auto& object : page->objects) {
      const auto name = layout_.match(object.key);
      if (!name) continue;
      ++round.seen;
      there.insert(object.key);
      if (auto ok = take(object, *name, before, round); !ok) return ok.error();
    }
    after = page->next;
  } while (!after.empty());
  for (const auto& [name, version] : newest()) {
    const auto seen = seen_.find(layout_.object_of(name));
    // What cannot be a package is left to whoever put it there.
    const bool broken = seen != seen_.end() && !seen->second.refusal.empty() && there.contains(seen->first);
    if (broken || (seen != seen_.end() && seen->second.sha256 == version.sha256)) continue;
    if (auto ok = give(name, version, round); !ok) return ok.error();
  }
  for (const auto& [object, seen] : seen_)
    if (!seen.refusal.empty() && there.contains(object)) round.refused.push_back({object, seen.refusal});
  return round;
}

Result<void> PackageImport::take(const objects::Object& object, const PackageName& name, const Newest& newest,
                                 Round& round) {
  const auto known = seen_.find(object.key);
  if (known != seen_.end() && known->second.etag == object.etag) return {};
  const auto ours = newest.find(name);
  // Seen for the first time in this life: it may be what GeRes itself put there, and older than what it has now.
  if (known == seen_.end() && ours != newest.end() && ours->second.created_at > object.modified_at) return {};
  Seen seen{object.etag, {}, {}};
  const auto refuse = [&](const std::string& why) {
    log::event(log::Level::warn, "package not taken", {{"object", object.key}, {"why", why}});
    seen.refusal = why;
    seen_[object.key] = seen;
    return Result<void>();
  };
  if (object.size > std::uint64_t(bytes_max_))
    return refuse(fmt::format("it has {}, and at most {} are taken", format_size(std::int64_t(object.size)),
                              format_size(bytes_max_)));
  auto upload = download(object, name);
  if (!upload && upload.error().code == Code::unknownFile) return {};  // gone meanwhile
  if (!upload) return upload.error();
  const auto contents = package::inspect((*upload)->file());
  if (!contents) return refuse(contents.error().message);
  const auto blob = (*upload)->commit();
  if (!blob) return blob.error();
  seen.sha256 = blob->sha256;
  if (ours == newest.end() || ours->second.sha256 != blob->sha256) {
    model::PackageVersion version;
    version.tenant = name.tenant;
    version.name = name.package;
    version.sha256 = blob->sha256;
    version.size = std::int64_t(blob->size);
    version.types = contents->types;
    version.open = contents->open;
    version.created_at = clock_.wall();
    auto kept = catalogue_.put(std::move(version));
    if (!kept) return kept.error();
    log::event(
        log::Level::info, "package taken",
        {{"object", object.key}, {"package", name.package}, {"tenant", name.tenant}, {"version", kept->version}});
    round.taken.push_back(std::move(*kept));
  }
  seen_[object.key] = std::move(seen);
  return {};
}

Result<std::unique_ptr<Upload>> PackageImport::download(const objects::Object& object, const PackageName& name) {
  auto upload = blobs_.begin(name.tenant, object.size);
  if (!upload) return upload;
  const auto got = store_->get(object.key, [&](std::string_view piece) { return (*upload)->write(piece); });
  if (!got) return got.error();
  return upload;
}

Result<void> PackageImport::give(const PackageName& name, const model::PackageVersion& version, Round& round) {
  const auto object = layout_.object_of(name);
  auto blob = blobs_.open(version.tenant, version.sha256);
  if (!blob) return blob.error().code == Code::unknownFile ? Result<void>() : blob.error();
  if (auto put = store_->put(object, blob->fd, blob->size, version.sha256); !put) return put;
  const auto now = store_->find(object);
  if (!now) return now.error();
  seen_[object] = {*now ? (*now)->etag : "", version.sha256, {}};
  round.given.push_back(version);
  return {};
}

}  // namespace geres::hub::packages
