// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/store_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/file.h"
#include "base/uuid.h"
#include "hub/store/json_columns.h"
#include "hub/store/sqlite/audit.h"
#include "hub/store/sqlite/migrate.h"
#include "hub/store/sqlite/reader.h"
#include "hub/store/sqlite/small_rows.h"
#include "hub/store/store.h"

namespace geres::hub::store {
namespace sqlite {
namespace {

namespace fs = std::filesystem;

constexpr int kCacheKib = 64 * 1024;
constexpr int kPagesAStep = 4'096;

[[noreturn]] void refuse(const std::string& what, const fs::path& file, const std::string& why) {
  throw StoreFailed(Failure::fatal, "cannot " + what + " " + file.string() + ": " + why);
}

std::unique_ptr<Database> open_to_read(const fs::path& file) {
  if (!fs::exists(file)) refuse("read the store", file, "there is no such file");
  return open_reader(file, "", kCacheKib);
}

// ---- copying

// A file that goes again unless it was put in its place.
class Draft {
 public:
  explicit Draft(const fs::path& place) : place_(place), path_(place.string() + ".part-" + random_hex(6)) {
    const Fd made(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!made) refuse("write", path_, std::generic_category().message(errno));
  }
  ~Draft() {
    std::error_code ignored;
    for (const auto* end : {"", "-journal", "-wal", "-shm"}) fs::remove(path_.string() + end, ignored);
  }
  const fs::path& path() const { return path_; }

  void sync() {
    const Fd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) refuse("sync", path_, std::generic_category().message(errno));
  }
  // Never over a file that is there, unless `replace`.
  void put(bool replace) {
    int code = ::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, place_.c_str(), replace ? 0 : RENAME_NOREPLACE);
    if (code != 0 && (errno == EINVAL || errno == ENOSYS)) {  // a file system that cannot promise it
      if (!replace && fs::exists(place_))
        errno = EEXIST;
      else
        code = ::rename(path_.c_str(), place_.c_str());
    }
    if (code != 0) refuse("write", place_, std::generic_category().message(errno));
    sync_directory(fs::absolute(place_).parent_path());
  }

 private:
  const fs::path place_, path_;
};

// All pages as of one moment.
void copy_pages(Database& from, Database& to) {
  const ReadTransaction transaction(from);
  from.number("SELECT tick FROM meta");  // the moment
  sqlite3_backup* copy = sqlite3_backup_init(to.handle(), "main", from.handle(), "main");
  if (copy == nullptr) throw_failed(to.handle(), sqlite3_errcode(to.handle()), "the copy cannot begin");
  int code = SQLITE_OK;
  while (code == SQLITE_OK) code = sqlite3_backup_step(copy, kPagesAStep);
  sqlite3_backup_finish(copy);
  if (code != SQLITE_DONE) throw_failed(to.handle(), code, "the copy failed");
}

// The draft becomes one file without a log, which may lie on a disk that cannot be written.
void copy_store(Database& from, const Draft& draft) {
  Database to(draft.path(), SQLITE_OPEN_READWRITE, "");
  to.execute("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY");  // it is synced as a whole
  copy_pages(from, to);
  to.execute("PRAGMA journal_mode = DELETE");
}

// ---- what a restored store is not allowed to share with the one that was backed up

void add_admin(Database& database, IdSource& ids, Millis now, const std::string& sha256) {
  const auto tokens = read_tokens(database);
  const auto has = [&](auto member, const std::string& value) {
    return std::any_of(tokens.begin(), tokens.end(), [&](const auto& token) { return token.*member == value; });
  };
  if (sha256.empty() || has(&model::Token::sha256, sha256)) return;
  model::Token token;
  token.id = ids.next(now);
  token.name = "admin";
  for (int n = 2; has(&model::Token::name, token.name); ++n) token.name = "admin-" + std::to_string(n);
  token.sha256 = sha256;
  token.roles = {model::Role::admin};
  token.created_at = now;
  put_tokens(database, {token});
}

void make_its_own(Database& database, const RestoreOptions& options) {
  SystemRandom random;
  IdSource ids(random);
  ids.start_after(std::uint64_t(database.number("SELECT last_id FROM meta")));
  database.execute("BEGIN IMMEDIATE");
  add_admin(database, ids, options.audit.now, options.admin_sha256);
  const std::string log = random_hex(8);
  database.prepare("UPDATE meta SET log=?, last_id=?").bind(log, ids.next(options.audit.now).seq()).run();
  database.execute("COMMIT");
}

// A second name for what is there, its log too; only then may the log go, which must not meet another store.
fs::path keep_aside(const fs::path& file) {
  const std::string kept = file.string() + ".replaced-" + random_hex(4);
  for (const auto* end : {"", "-wal"}) {
    const std::string from = file.string() + end;
    if (fs::exists(from) && ::link(from.c_str(), (kept + end).c_str()) != 0)
      refuse("keep", from, std::generic_category().message(errno));
  }
  sync_directory(file.parent_path());
  return kept;
}

void remove_log(const fs::path& file) {
  for (const auto* end : {"-wal", "-shm"}) fs::remove(file.string() + end);
  sync_directory(file.parent_path());
}

}  // namespace
}  // namespace sqlite

Audit audit_sqlite(const std::filesystem::path& file, const AuditOptions& options) {
  auto database = sqlite::open_to_read(file);
  sqlite::require_newest(*database, sqlite::migrations().size(), file.string());
  return sqlite::audit(*database, options);
}

Audit backup_sqlite(const std::filesystem::path& file, const std::filesystem::path& to, const AuditOptions& options) {
  if (std::filesystem::exists(to)) sqlite::refuse("write", to, "it exists already, and a backup never overwrites");
  sqlite::Draft draft(to);
  {
    auto database = sqlite::open_to_read(file);
    sqlite::require_newest(*database, sqlite::migrations().size(), file.string());
    sqlite::copy_store(*database, draft);
  }
  draft.sync();
  auto audit = audit_sqlite(draft.path(), options);
  draft.put(false);
  return audit;
}

struct StoreNames::Parts {
  std::unique_ptr<sqlite::Database> database;
};

StoreNames::StoreNames(const std::filesystem::path& file) : parts_(new Parts{sqlite::open_to_read(file)}) {}

StoreNames::~StoreNames() = default;

void StoreNames::each_blob(const std::function<void(const std::string&, const std::string&)>& visit) {
  auto rows = parts_->database->prepare(
      "SELECT tenant, lower(hex(sha256)) FROM (SELECT tenant, sha256 FROM package UNION SELECT tenant, sha256 FROM "
      "package_use UNION SELECT tenant, sha256 FROM job_input UNION SELECT tenant, sha256 FROM job_file)");
  while (rows.step()) visit(std::string(rows.view(0)), std::string(rows.view(1)));
}

std::string StoreNames::log() {
  auto row = parts_->database->prepare("SELECT log FROM meta");
  return row.step() ? std::string(row.view(0)) : std::string();
}

int StoreNames::attempts(Uuid job) {
  auto rows = parts_->database->cached(
      "SELECT max(attempt) FROM (SELECT attempt FROM job WHERE seq=?1 AND lo=?2"
      " UNION ALL SELECT attempt FROM lease WHERE seq=?1 AND lo=?2)");
  rows.bind(job.seq(), std::int64_t(job.low)).step();
  return rows.is_null(0) ? 0 : int(rows.integer(0));
}

Restored restore_sqlite(const std::filesystem::path& backup, const std::filesystem::path& file,
                        const RestoreOptions& options) {
  const Fd lock = try_lock_file(file.string() + ".lock");
  if (!lock) sqlite::refuse("restore to", file, "a hub runs on it; stop that one first");
  const bool there = std::filesystem::exists(file) || std::filesystem::exists(file.string() + "-wal");
  if (there && !options.replace) sqlite::refuse("restore to", file, "there is a store already");
  sqlite::Draft draft(file);
  sqlite::copy_store(*sqlite::open_to_read(backup), draft);
  Restored restored;
  {
    sqlite::Database database(draft.path(), SQLITE_OPEN_READWRITE, "");
    if (database.number("SELECT count(*) FROM sqlite_schema") == 0) sqlite::refuse("restore", backup, "it is empty");
    sqlite::migrate(database, sqlite::migrations(), backup.string());
    restored.audit = sqlite::audit(database, options.audit);
    if (!restored.audit.violations.empty()) return restored;
    sqlite::make_its_own(database, options);
  }
  restored.audit = audit_sqlite(draft.path(), options.audit);
  draft.sync();
  if (there) restored.kept = sqlite::keep_aside(file);
  sqlite::remove_log(file);
  draft.put(options.replace);
  return restored;
}

}  // namespace geres::hub::store
