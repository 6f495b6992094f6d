// SPDX-License-Identifier: Apache-2.0
#include "hub/backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <functional>
#include <optional>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "base/uuid.h"
#include "hub/store/sqlite/store_file.h"
#include "hub/store/store.h"
#include "model/names.h"

namespace geres::hub {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;
constexpr std::size_t kCopyBytes = std::size_t(1) << 20;
constexpr int kRounds = 5;
constexpr std::size_t kLostShown = 20;
constexpr auto kStore = "geres.db", kToken = "admin.token", kSums = "SHA256SUMS", kManifest = "backup.json";

// backup.json
struct Manifest {
  int format = 0;
  json::Time at;
  std::string store;  // what it is of
  std::string sums;   // SHA-256 of SHA256SUMS
};
BOOST_DESCRIBE_STRUCT(Manifest, (), (format, at, store, sums))

[[noreturn]] void refuse(const std::string& what) {
  throw store::StoreFailed(store::Failure::fatal, what);
}

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

struct Copied {
  std::string sha256;
  std::int64_t size = 0;
};

// Reads `from` to its end into `to` (-1: nowhere).
Copied read_through(int from, int to, const fs::path& name) {
  Copied copied;
  Sha256 sum;
  std::string piece(kCopyBytes, '\0');
  while (true) {
    const auto n = ::read(from, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno("read " + name.string());
    if (n == 0) break;
    const std::string_view bytes(piece.data(), std::size_t(n));
    sum.update(bytes);
    if (to >= 0) write_all(to, bytes);
    copied.size += n;
  }
  copied.sha256 = sum.hex();
  return copied;
}

Fd open_to_read(const fs::path& file) {
  Fd fd(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd && errno != ENOENT) throw_errno("open " + file.string());
  return fd;
}

void make_all_private(const fs::path& directory) {
  if (fs::is_directory(directory)) return;
  make_all_private(directory.parent_path());
  make_private_directory(directory);
}

// Nothing if there is no such file (any more).
std::optional<Copied> copy_in(const fs::path& from, const fs::path& to) {
  const Fd source = open_to_read(from);
  if (!source) return std::nullopt;
  make_all_private(to.parent_path());
  const Fd target(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!target) throw_errno("create " + to.string());
  return read_through(source.get(), target.get(), from);
}

// Regular files three levels down: tenants/<tenant>/<aa>/<sha256>, logs/<aa>/<job>/<attempt>.<stream>. What goes while
// we look is passed over.
void each_file(const fs::path& top, int levels, const std::function<void(const fs::path&)>& visit) {
  std::error_code gone;
  for (fs::directory_iterator at(top, gone), end; !gone && at != end; at.increment(gone)) {
    const auto status = at->symlink_status(gone);
    if (gone)
      gone.clear();
    else if (levels == 1 && fs::is_regular_file(status))
      visit(at->path());
    else if (levels > 1 && fs::is_directory(status))
      each_file(at->path(), levels - 1, visit);
  }
  if (gone && gone != std::errc::no_such_file_or_directory) throw std::system_error(gone, "read " + top.string());
}

bool holds_nothing(const fs::path& directory) {
  for (const auto& entry : fs::directory_iterator(directory))
    if (entry.path().filename() != "lost+found") return false;
  return true;
}

void sync_all_of(const fs::path& directory) {
  const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::syncfs(fd.get()) != 0) throw_errno("sync " + directory.string());
}

// Directories or files that go again unless they are kept.
class Draft {
 public:
  void will_make(fs::path path) { made_.push_back(std::move(path)); }
  void keep() { made_.clear(); }
  ~Draft() {
    for (const auto& path : made_) remove_tree(path);
  }

 private:
  std::vector<fs::path> made_;
};

// ---- backing up

class Backup {
 public:
  Backup(const HubPlaces& places, const fs::path& to, const store::AuditOptions& options)
      : places_(places), to_(to), options_(options) {}

  BackupFound run() {
    prepare();
    copy_blobs();
    settle_store();
    copy_logs();
    copy_token();
    finish();
    return std::move(found_);
  }

 private:
  void prepare() {
    std::error_code ignored;
    if (const bool there = fs::exists(fs::symlink_status(to_, ignored)); !there) {
      draft_.will_make(to_);
    } else {
      if (!fs::is_directory(to_)) refuse(to_.string() + " is no directory");
      if (!holds_nothing(to_)) refuse(to_.string() + " is not empty, and a backup never overwrites");
      for (const auto* name : {kStore, kToken, kSums, kManifest, "blobs", "logs"}) draft_.will_make(to_ / name);
    }
    make_private_directory(to_);
  }

  void add(const std::string& name, const Copied& copied) { sums_ += copied.sha256 + "  " + name + "\n"; }

  fs::path blob_place(const std::string& tenant, const std::string& sha256) const {
    return to_ / "blobs" / "tenants" / tenant / sha256.substr(0, 2) / sha256;
  }

  // Those that are not here yet.
  void copy_blobs() {
    if (places_.blobs.empty()) return;
    each_file(places_.blobs / "tenants", 3, [&](const fs::path& file) {
      const auto tenant = file.parent_path().parent_path().filename().string(), sha256 = file.filename().string();
      if (!model::is_name(tenant) || !is_sha256_hex(sha256)) return;
      const auto place = blob_place(tenant, sha256);
      if (fs::exists(place)) return;
      const auto copied = copy_in(file, place);
      if (!copied) return;
      if (copied->sha256 != sha256) {  // damaged: as if it were not there
        fs::remove(place);
        return;
      }
      add(place.lexically_relative(to_).string(), *copied);
      ++found_.blobs.files;
      found_.blobs.bytes += copied->size;
    });
  }

  void look_for_lost() {
    found_.lost.clear();
    found_.lost_count = 0;
    if (places_.blobs.empty()) return;
    store::StoreNames(to_ / kStore).each_blob([&](const std::string& tenant, const std::string& sha256) {
      if (fs::exists(blob_place(tenant, sha256))) return;
      if (++found_.lost_count <= std::int64_t(kLostShown)) found_.lost.push_back(tenant + "/" + sha256);
    });
  }

  // A store all whose blobs are here, if there can be one.
  void settle_store() {
    for (int round = 1;; ++round) {
      fs::remove(to_ / kStore);
      found_.audit = store::backup_sqlite(places_.store, to_ / kStore, options_);
      copy_blobs();
      const auto before = std::exchange(found_.lost_count, 0);
      look_for_lost();
      if (found_.lost_count == 0 || round == kRounds || (round > 1 && found_.lost_count == before)) break;
    }
    const Fd store = open_to_read(to_ / kStore);
    add(kStore, read_through(store.get(), -1, to_ / kStore));
  }

  // Of an attempt that began after the store's moment there is nothing to keep: it will begin anew, and so must its
  // log.
  void copy_logs() {
    store::StoreNames names(to_ / kStore);
    each_file(places_.data / "logs", 3, [&](const fs::path& file) {
      const auto job = parse_uuid(file.parent_path().filename().string());
      const auto name = file.filename().string();
      int attempt = 0;
      std::from_chars(name.data(), name.data() + name.size(), attempt);
      if (!job || attempt < 1 || attempt > names.attempts(*job)) return;
      const auto place = file.lexically_relative(places_.data);
      const auto copied = copy_in(file, to_ / place);
      if (!copied) return;
      add(place.string(), *copied);
      ++found_.logs.files;
      found_.logs.bytes += copied->size;
    });
  }

  void copy_token() {
    const auto copied = copy_in(places_.data / kToken, to_ / kToken);
    found_.admin_token = copied.has_value();
    if (copied) add(kToken, *copied);
  }

  void finish() {
    replace_file(to_ / kSums, sums_, 0600);
    sync_all_of(to_);
    const Manifest manifest{kFormat, {options_.now}, places_.store.string(), sha256_hex(sums_)};
    replace_file(to_ / kManifest, json::write_text(manifest) + "\n", 0600);
    draft_.keep();
  }

  const HubPlaces& places_;
  const fs::path& to_;
  const store::AuditOptions& options_;
  Draft draft_;
  std::string sums_;
  BackupFound found_;
};

// ---- restoring

struct Sum {
  std::string sha256, name;
};

// Lines of SHA256SUMS, whose own sum is right: what is odd here was made so by somebody.
std::vector<Sum> read_sums(const std::string& text) {
  std::vector<Sum> sums;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto line = text.substr(at, end - at);
    at = end + 1;
    Sum sum{line.substr(0, 64), line.size() > 66 ? line.substr(66) : ""};
    const bool ours = sum.name == kStore || sum.name == kToken || sum.name.starts_with("blobs/tenants/") ||
                      sum.name.starts_with("logs/");
    if (!ours || !is_sha256_hex(sum.sha256) || fs::path(sum.name).lexically_normal() != sum.name)
      refuse(std::string(kSums) + " has a line that is not ours: " + line);
    sums.push_back(std::move(sum));
  }
  return sums;
}

std::vector<Sum> read_manifest(const fs::path& from) {
  const auto text = read_file_if(from / kManifest);
  if (!text) refuse(from.string() + " is no whole backup: it has no " + kManifest + ", which is written last");
  const auto manifest = json::read_text<Manifest>(*text, json::Unknown::ignored);
  if (!manifest) refuse((from / kManifest).string() + " is damaged");
  if (manifest->format != kFormat) refuse(from.string() + " was made by a newer version of GeRes; use that version");
  const auto sums = read_file_if(from / kSums).value_or("");
  if (sha256_hex(sums) != manifest->sums) refuse((from / kSums).string() + " is damaged");
  return read_sums(sums);
}

class Restore {
 public:
  Restore(const fs::path& from, const fs::path& data, const store::AuditOptions& options)
      : from_(from), data_(data), options_(options), draft_place_(data / (".restore-" + random_hex(6))) {}

  BackupFound run() {
    prepare();
    draft_.will_make(draft_place_);
    make_private_directory(draft_place_);
    for (const auto& sum : read_manifest(from_)) take(sum);
    make_token();
    store::RestoreOptions options{options_, false, sha256_hex(token_)};
    found_.audit = store::restore_sqlite(from_ / kStore, draft_place_ / kStore, options).audit;
    if (found_.audit.violations.empty()) put();
    return std::move(found_);
  }

 private:
  // What an earlier restore that was killed has left is not in the way.
  void prepare() {
    make_private_directory(data_);
    for (const auto& entry : fs::directory_iterator(data_))
      if (entry.path().filename().string().starts_with(".restore-")) remove_tree(entry.path());
    if (!holds_nothing(data_))
      refuse("there is something in " + data_.string() + " already, and a restore wants it empty");
  }

  void take(const Sum& sum) {
    const auto source = from_ / sum.name;
    std::optional<Copied> copied;
    if (sum.name == kStore) {
      if (const Fd store = open_to_read(source)) copied = read_through(store.get(), -1, source);
    } else {
      copied = copy_in(source, draft_place_ / sum.name);
    }
    if (!copied) refuse("the backup is damaged: " + source.string() + " is missing");
    if (copied->sha256 != sum.sha256) refuse("the backup is damaged: " + source.string() + " has changed");
    if (sum.name == kToken) found_.admin_token = true;
    if (sum.name.starts_with("blobs/")) count(found_.blobs, *copied);
    if (sum.name.starts_with("logs/")) count(found_.logs, *copied);
  }

  static void count(Pile& pile, const Copied& copied) {
    ++pile.files;
    pile.bytes += copied.size;
  }

  void make_token() {
    const auto file = draft_place_ / kToken;
    const auto left = read_file_if(file).value_or("");
    token_ = left.substr(0, left.find_first_of("\r\n"));
    if (token_.size() >= 32) return;
    token_ = random_hex(32);
    replace_file(file, token_ + "\n", 0600);
  }

  // Root restores for whom the directory is.
  void give_to_its_owner() const {
    struct stat owner {};
    if (::geteuid() != 0 || ::stat(data_.c_str(), &owner) != 0 || owner.st_uid == 0) return;
    for (const auto& entry : fs::recursive_directory_iterator(draft_place_))
      if (::lchown(entry.path().c_str(), owner.st_uid, owner.st_gid) != 0)
        throw_errno("give " + entry.path().string() + " to the owner of " + data_.string());
  }

  // The token first: beside it a hub does not begin anew without its store, which comes last.
  void put() {
    give_to_its_owner();
    sync_all_of(draft_place_);
    for (const auto* name : {kToken, "blobs", "logs", kStore}) {
      if (::renameat2(AT_FDCWD, (draft_place_ / name).c_str(), AT_FDCWD, (data_ / name).c_str(), RENAME_NOREPLACE) !=
              0 &&
          errno != ENOENT)
        throw_errno("put " + (data_ / name).string());
      sync_directory(data_);
    }
  }

  const fs::path& from_;
  const fs::path& data_;
  const store::AuditOptions& options_;
  const fs::path draft_place_;
  Draft draft_;
  std::string token_;
  BackupFound found_;
};

}  // namespace

BackupFound backup_hub(const HubPlaces& places, const fs::path& to, const store::AuditOptions& options) {
  auto found = Backup(places, to, options).run();
  if (found.audit.violations.empty() && found.lost_count == 0) try {
      replace_file(places.data / kBackupMark, to.string() + "\n", 0600);
    } catch (const std::system_error&) {  // the backup is none the worse
    }
  return found;
}

BackupFound restore_hub(const fs::path& from, const fs::path& data, const store::AuditOptions& options) {
  return Restore(from, data, options).run();
}

}  // namespace geres::hub
