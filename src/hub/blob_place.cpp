// SPDX-License-Identifier: Apache-2.0
#include "hub/blob_place.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "hub/engine/ask_and_wait.h"
#include "hub/packages/directory_blobs.h"
#include "hub/packages/remote_blobs.h"
#include "objects/open.h"

namespace geres::hub {
namespace {

namespace fs = std::filesystem;

// Beside the store: the place that was used last.
fs::path note_file(const fs::path& data) {
  return data / "blobs.place";
}

// … and the one to which all was copied since.
fs::path copied_file(const fs::path& data) {
  return data / "blobs.copied";
}

std::string first_line(const fs::path& file) {
  const auto text = read_file_if(file).value_or("");
  return text.substr(0, text.find('\n'));
}

std::string kind_of(std::string_view place) {
  return std::string(place.substr(0, place.find(':')));
}

// A directory may have been moved; from one kind of place to another files do not come by themselves.
void check_note(const HubOptions& options, const std::string& place) {
  auto before = last_blob_place(options.data_dir);
  if (before.empty() && kind_of(place) != "dir" && fs::exists(options.data_dir / "blobs" / "tenants") &&
      !fs::is_empty(options.data_dir / "blobs" / "tenants"))
    before = "dir:" + (options.data_dir / "blobs").string();
  const bool same = before.empty() || before == place || (kind_of(before) == "dir" && kind_of(place) == "dir");
  if (same || first_line(copied_file(options.data_dir)) == place) return;
  throw CannotStart("blobs", fmt::format("this hub's packages and files are in {}, not in {}", before, place),
                    fmt::format("--blobs {}, or first: geres hub blobs copy --to {}", before, place));
}

void write_note(const HubOptions& options, const std::string& place) {
  replace_file(note_file(options.data_dir), place + "\n", 0600);
  fs::remove(copied_file(options.data_dir));
}

// Whoever starts a hub should not wait long to learn that it cannot be.
constexpr objects::Patience kAtStart{.connect = 3'000, .silence = 10'000, .try_for = 2'000};

Result<void> look_at(const std::string& place, const std::string& log) {
  const auto objects = objects::open_object_store(place, objects::process_environment, kAtStart);
  if (!objects) return objects.error();
  if (auto usable = (*objects)->check(); !usable) return usable;
  return claim_place(**objects, log);
}

BlobPlace open_remote(const HubOptions& options, packages::BlobIndex& index, store::Reads& reads, const Clock& clock) {
  auto opened = objects::open_object_store(options.blobs, objects::process_environment);
  if (!opened) throw CannotStart("blobs", opened.error().message, opened.error().hint);
  const std::shared_ptr<objects::ObjectStore> objects = std::move(*opened);
  check_note(options, options.blobs);
  const bool known = last_blob_place(options.data_dir) == options.blobs;
  const auto usable = look_at(options.blobs, reads.log());
  if (!usable && (usable.error().code != Code::blobStoreAway || !known))
    throw CannotStart("blobs", usable.error().message, usable.error().hint);
  if (!usable)
    log::event(log::Level::err, "store of files away", {{"store", objects->name()}, {"why", usable.error().message}});
  BlobPlace place;
  place.objects = objects;
  place.blobs = packages::open_remote_blobs(objects, index, clock,
                                            {.directory = options.data_dir / "blobs.remote",
                                             .reserve = options.disk_reserve,
                                             .cache_bytes = options.blob_cache});
  place.settle = [objects, &index, options, known] {
    if (known) return;
    const auto adopted = packages::adopt_objects(*objects, index);
    if (!adopted) throw CannotStart("blobs", adopted.error().message, adopted.error().hint);
    if (*adopted > 0) log::info("{} files lie in {} already", *adopted, objects->name());
    write_note(options, options.blobs);
  };
  return place;
}

}  // namespace

std::string last_blob_place(const fs::path& data) {
  return first_line(note_file(data));
}

void note_copied_blobs(const fs::path& data, const std::string& place) {
  replace_file(copied_file(data), place + "\n", 0600);
}

Result<void> claim_place(objects::ObjectStore& objects, const std::string& log) {
  const std::string key = "geres.owner";
  std::string owner;
  const auto got = objects.get(key, [&](std::string_view piece) -> Result<void> {
    if (owner.size() + piece.size() > 4'096) return fail(Code::badValue, "the marker is too large");
    owner += piece;
    return {};
  });
  if (got) {
    if (owner == log) return {};
    return fail(Code::conflict,
                fmt::format("{} belongs to another GeRes (its event log is {}, ours {})", objects.name(), owner, log),
                {}, "a container or prefix of its own for each");
  }
  if (got.error().code != Code::unknownFile) return got.error();
  const Fd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) throw std::system_error(errno, std::generic_category(), "make a file in /tmp");
  write_all(file.get(), log);
  return objects.put(key, file, log.size(), sha256_hex(log));
}

BlobPlace open_blob_place(const HubOptions& options, packages::BlobIndex& index, store::Reads& reads,
                          const Clock& clock) {
  const auto kind = kind_of(options.blobs);
  if (!options.blobs.empty() && kind != "dir") return open_remote(options, index, reads, clock);
  const fs::path directory = options.blobs.empty() ? options.data_dir / "blobs" : fs::path(options.blobs.substr(4));
  if (directory.empty()) throw CannotStart("blobs", "it names no directory", "dir:DIRECTORY");
  const auto place = "dir:" + directory.string();
  check_note(options, place);
  BlobPlace opened;
  opened.blobs = packages::open_directory_blobs(
      directory,
      [&reads](std::string_view tenant, std::string_view sha256) {
        return reads.blob_named(std::string(tenant), std::string(sha256));
      },
      options.disk_reserve);
  opened.settle = [options, place] { write_note(options, place); };
  return opened;
}

std::unique_ptr<packages::PackageImport> open_package_import(const HubOptions& options, packages::Blobs& blobs,
                                                             engine::Engine& engine, store::Reads& reads,
                                                             const Clock& clock) {
  if (options.import_layout.empty()) return nullptr;
  auto placed = packages::Layout::parse(options.import_layout);
  if (!placed) throw CannotStart("import_layout", placed.error().message, placed.error().hint);
  const auto now = objects::open_object_store(placed->place, objects::process_environment, kAtStart);
  if (!now) throw CannotStart("import_layout", now.error().message, now.error().hint);
  if (const auto listed = (*now)->list("", {}, 1); !listed)
    throw CannotStart("import_layout", listed.error().message, listed.error().hint);
  packages::PackageImport::Catalogue catalogue;
  catalogue.all = [&reads] { return reads.packages(); };
  catalogue.put = [&engine](model::PackageVersion version) -> Result<model::PackageVersion> {
    auto kept = engine::ask_and_wait(engine, engine::PutPackage{std::move(version)});
    if (!kept) return kept.error();
    return std::move(kept->version);
  };
  auto store = objects::open_object_store(placed->place, objects::process_environment);
  return std::make_unique<packages::PackageImport>(std::move(store).value(), std::move(placed->layout), blobs,
                                                   std::move(catalogue), clock, options.serving.package_bytes_max);
}

}  // namespace geres::hub
