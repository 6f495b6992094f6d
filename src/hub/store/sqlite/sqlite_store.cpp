// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/sqlite_store.h"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "base/file.h"
#include "base/log.h"
#include "hub/store/sqlite/apply.h"
#include "hub/store/sqlite/blob_rows.h"
#include "hub/store/sqlite/enrolment_rows.h"
#include "hub/store/sqlite/migrate.h"
#include "hub/store/sqlite/reader.h"
#include "hub/store/sqlite/scaler_rows.h"
#include "hub/store/sqlite/small_rows.h"
#include "hub/store/sqlite/space_reserve.h"
#include "hub/store/sqlite/sqlite_reads.h"
#include "hub/store/sqlite/tick_reads.h"
#include "hub/store/sqlite/webhook_rows.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::store {
namespace sqlite {
namespace {

constexpr int kPatienceMs = 5'000;  // for locks that nobody should hold
constexpr Millis kQuietMs = 50;     // how long a tick waits for readers so that the log can start anew
constexpr sqlite3_int64 kSettleBytes = 1 << 20;
constexpr int kPatientFactor = 4;     // the log may grow to this many times checkpoint_pages before that …
constexpr int kImpatientFactor = 16;  // … and to this many before it waits for every reader

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& why) {
  throw StoreFailed(Failure::fatal, "cannot use the store " + file.string() + ": " + why);
}

Fd lock_beside(const std::filesystem::path& file, const SqliteOptions& options) {
  if (!options.lock_file) return Fd();
  const std::filesystem::path beside = file.string() + ".lock";
  try {
    Fd lock = try_lock_file(beside);
    if (!lock) refuse(file, "another hub has it open (it holds " + beside.string() + "); stop that one first");
    return lock;
  } catch (const std::system_error& error) {
    refuse(file, error.what());
  }
}

std::unique_ptr<Database> open_writer(const std::filesystem::path& file, const SqliteOptions& options) {
  // SQLite would make it readable by everybody; its log and index get what the file has.
  if (options.lock_file) Fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  auto database = std::make_unique<Database>(file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, options.vfs);
  sqlite3_busy_timeout(database->handle(), kPatienceMs);
  try {
    // Exclusive: the log's index lies in our memory instead of a shared file, which other VFSes may not have.
    if (options.single_connection) database->execute("PRAGMA locking_mode = EXCLUSIVE");
    // auto_vacuum stays off: its extra map pages cost writes in every tick, and free pages are used again.
    database->execute(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;"
        "PRAGMA secure_delete = OFF;"
        "PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;"
        "PRAGMA cache_size = -" +
        std::to_string(options.writer_cache_kib));
    if (options.max_pages > 0) database->execute("PRAGMA max_page_count = " + std::to_string(options.max_pages));
    if (database->number("SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'") != 1)
      refuse(file, "the file system does not let SQLite keep a write-ahead log there");
  } catch (const StoreFailed& failed) {
    if (failed.failure != Failure::fatal) refuse(file, failed.what());
    refuse(file, std::string(failed.what()) + "; restore it from a backup or move it away");
  }
  return database;
}

// What a hub cannot start without comes first; the check ends with its time, so a large store starts as fast as a
// small one. A small store is checked in full.
void quick_check(Database& database, const std::filesystem::path& file, Millis limit) {
  if (limit <= 0) return;
  database.limit_time(limit);
  std::string found = "ok";
  try {
    std::vector<std::string> tables;
    {
      auto rows = database.prepare(
          "SELECT name FROM sqlite_schema WHERE type = 'table'"
          " ORDER BY name IN ('job', 'job_input', 'job_file', 'attempt', 'event'), name");
      while (rows.step()) tables.emplace_back(rows.view(0));
    }
    for (const auto& table : tables) {
      auto check = database.prepare("PRAGMA quick_check(" + table + ")");
      if (check.step() && check.view(0) != "ok") found = check.view(0);
      if (found != "ok") break;
    }
  } catch (const StoreFailed& failed) {
    if (failed.failure != Failure::refused) found = failed.what();
    // refused: its time was over
  }
  database.limit_time(0);
  if (found != "ok") refuse(file, "it is damaged (" + found + "); restore it from a backup");
}

}  // namespace

class SqliteStore final : public Store {
 public:
  SqliteStore(const std::filesystem::path& file, const SqliteOptions& options)
      : file_(file),
        options_(options),
        lock_(lock_beside(file, options)),
        writer_(open_writer(file, options)),
        pool_([file, options] { return open_reader(file, options.vfs, options.reader_cache_kib); }, options.readers,
              options.read_limit),
        reserve_(file.string() + ".reserve", options.lock_file ? options.reserve_bytes : 0),
        reads_(pool_, options.single_connection ? writer_.get() : nullptr, file) {
    prepare_file();
    next_checkpoint_ = options_.checkpoint_pages;
    sqlite3_wal_hook(writer_->handle(), &SqliteStore::count_log_pages, this);
  }

  ~SqliteStore() override {
    if (broken_) leave_log();
  }

  Image load() override {
    return guarded([&] { return load_image(); });
  }

  void lead(Millis engine_now) override {
    guarded([&] {
      writer_->cached("BEGIN IMMEDIATE").run();
      writer_->cached("UPDATE meta SET epoch = epoch + 1").run();
      sqlite::cap_durations(*writer_, engine_now);
      const auto epoch = stored_epoch();
      writer_->cached("COMMIT").run();
      epoch_ = epoch;
    });
  }

  Found begin(const Wanted& wanted) override {
    guarded([&] {
      if (!options_.single_connection || !writer_->in_transaction()) checkpoint_if_due();
      reserve_.restore();
      writer_->cached("BEGIN IMMEDIATE").run();
      if (stored_epoch() == epoch_) return;
      rollback();
      throw StoreFailed(Failure::deposed, "another hub leads on the store " + file_.string());
    });
    marks_ = committed_marks_;
    return find_each(*this, wanted);
  }

  void apply(const Changes& changes) override {
    guarded([&] {
      if (reserve_.spent() && !changes.jobs.empty())
        throw StoreFailed(Failure::full, "the disk of " + file_.string() + " is full: no new jobs until there is room");
      apply_changes(*writer_, changes, marks_);
    });
  }

  void commit(std::int64_t tick) override {
    guarded([&] {
      writer_->cached("UPDATE meta SET tick=?, last_event=?, last_id=?, last_lane=?, last_backdated=? WHERE id=1")
          .bind(tick, marks_.event, std::int64_t(marks_.id), marks_.lane, marks_.backdated)
          .run();
      writer_->cached("COMMIT").run();
    });
    committed_marks_ = marks_;
  }

  void rollback() noexcept override {
    if (writer_->in_transaction()) sqlite3_exec(writer_->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    marks_ = committed_marks_;
  }

  Committed committed(std::int64_t tick) override {
    return guarded([&] {
      auto meta = writer_->cached("SELECT epoch, tick FROM meta");
      meta.step();
      if (meta.integer(0) != epoch_) return Committed::deposed;
      return meta.integer(1) >= tick ? Committed::done : Committed::not_done;
    });
  }

  std::vector<std::optional<model::Job>> jobs_by_key(std::span<const KeyRef> keys) override {
    return guarded([&] { return sqlite::jobs_by_key(*writer_, keys); });
  }
  std::optional<ListKeyRow> list_key(const std::string& scope, const std::string& key) override {
    return guarded([&] { return find_list_key(*writer_, scope, key); });
  }
  std::vector<std::optional<model::Job>> jobs(std::span<const Uuid> ids) override {
    return guarded([&] { return jobs_by_id(*writer_, ids); });
  }
  std::vector<model::Job> jobs_by_seq(std::span<const Seq> seqs) override {
    return guarded([&] { return sqlite::jobs_by_seq(*writer_, seqs); });
  }
  std::optional<AttemptRow> ended_attempt(Uuid lease) override {
    return guarded([&] { return sqlite::ended_attempt(*writer_, lease); });
  }
  std::optional<ScheduledRow> scheduled_row(Uuid id) override {
    return guarded([&] { return sqlite::scheduled_row(*writer_, id); });
  }
  std::vector<Taken> take_ready(std::span<const LaneTake> lanes) override {
    return guarded([&] { return sqlite::take_ready(*writer_, lanes); });
  }
  std::vector<ReadyRow> peek_ready(LaneNo lane, std::size_t n) override {
    return guarded([&] { return sqlite::peek_ready(*writer_, lane, n); });
  }
  std::vector<std::optional<ReadyRow>> heads(std::span<const LaneNo> lanes) override {
    return guarded([&] {
      std::vector<std::optional<ReadyRow>> heads;
      for (const auto lane : lanes) heads.push_back(lane_head(*writer_, lane));
      return heads;
    });
  }
  std::vector<ScheduledRow> due(Millis engine_now, Millis wall_now, std::size_t max) override {
    return guarded([&] { return sqlite::due(*writer_, engine_now, wall_now, max); });
  }
  std::optional<Millis> next_due(bool by_wall) override {
    return guarded([&] { return sqlite::next_due(*writer_, by_wall); });
  }
  std::vector<QueueDeadlineRow> deadlines_due(Millis engine_now, std::size_t max) override {
    return guarded([&] { return sqlite::deadlines_due(*writer_, engine_now, max); });
  }
  std::optional<Millis> next_deadline() override {
    return guarded([&] { return sqlite::next_deadline(*writer_); });
  }
  Slice slice(const JobFilter& filter, Seq after, Seq bound, std::size_t scan) override {
    return guarded([&] { return sqlite::slice(*writer_, filter, after, bound, scan); });
  }
  std::vector<Uuid> ended_before(model::JobState state, Millis before, const std::string& tenant,
                                 const std::vector<std::string>& except, std::size_t max) override {
    return guarded([&] { return sqlite::ended_before(*writer_, state, before, tenant, except, max); });
  }
  std::size_t purge_events(EventNo keep_from, Millis before, Millis now, std::size_t max) override {
    return guarded([&] { return sqlite::purge_events(*writer_, keep_from, before, now, max); });
  }
  KeySlice purge_list_keys(Millis before, KeyPlace after, std::size_t max) override {
    return guarded([&] { return sqlite::purge_list_keys(*writer_, before, after, max); });
  }
  bool package_in_use(const std::string& tenant, const std::string& sha256) override {
    return guarded([&] { return sqlite::package_in_use(*writer_, tenant, sha256); });
  }
  bool token_named(const std::string& name, const std::vector<std::string>& tenants, Millis now) override {
    return guarded([&] { return sqlite::token_named(*writer_, name, tenants, now); });
  }

  std::vector<DeliveryRow> deliveries(Uuid webhook, DeliveryState state, EventNo after, std::size_t max) override {
    return guarded([&] { return read_deliveries(*writer_, webhook, state, after, max); });
  }
  std::size_t purge_deliveries(Uuid webhook, bool all, Millis before, std::size_t dead_max, std::size_t max) override {
    return guarded([&] { return sqlite::purge_deliveries(*writer_, webhook, all, before, dead_max, max); });
  }

  std::optional<BlobRow> blob(const BlobKey& key) override {
    return guarded([&] { return find_blob(*writer_, key); });
  }
  std::vector<BlobRow> blobs_since(BlobState state, Millis before, const BlobRow& after, std::size_t max) override {
    return guarded([&] { return sqlite::blobs_since(*writer_, state, before, after, max); });
  }
  bool blob_named(const BlobKey& key) override {
    return guarded([&] { return sqlite::blob_named(*writer_, key); });
  }

  std::optional<MachineRow> machine(const std::string& pool, const std::string& instance) override {
    return guarded([&] { return find_machine(*writer_, pool, instance); });
  }
  std::optional<IntentRow> intent(const std::string& request) override {
    return guarded([&] { return find_intent(*writer_, request); });
  }
  std::optional<DecisionRow> last_decision(const std::string& pool) override {
    return guarded([&] { return sqlite::last_decision(*writer_, pool); });
  }
  std::size_t purge_scaler(Millis before, std::size_t max) override {
    return guarded([&] { return sqlite::purge_scaler(*writer_, before, max); });
  }

  Reads& reads() override { return reads_; }

 private:
  // After a failure that leaves the store in doubt every verb fails: nothing may be built on it, and a failed sync
  // must not be tried again.
  template <class F>
  std::invoke_result_t<F&> guarded(F&& work) {
    if (broken_) throw StoreFailed(Failure::fatal, "the store " + file_.string() + " failed before and is out of use");
    try {
      return work();
    } catch (const StoreFailed& failed) {
      broken_ = failed.failure == Failure::fatal;
      if (failed.failure == Failure::full) reserve_.spend();
      throw;
    }
  }

  // After a failed sync, or in a damaged file, nobody knows what the log holds: closing must not copy it.
  void leave_log() { sqlite3_db_config(writer_->handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr); }

  void prepare_file() {
    try {
      migrate(*writer_, migrations(), file_.string());
      quick_check(*writer_, file_, options_.check_limit);
      auto add = writer_->cached(
          "INSERT OR IGNORE INTO meta(id, log, tick, last_event, last_id, last_lane) VALUES(1, ?, 0, 0, 0, 0)");
      const std::string log = random_hex(8);
      add.bind(log).run();
      settle_log();
    } catch (const StoreFailed& failed) {
      leave_log();
      if (failed.failure == Failure::fatal) throw;
      refuse(file_, failed.what());
    }
    auto marks = writer_->cached("SELECT last_event, last_id, last_lane, last_backdated FROM meta");
    if (!marks.step()) refuse(file_, "its first table is empty");
    committed_marks_ = {marks.integer(0), std::uint64_t(marks.integer(1)), marks.integer(2), marks.integer(3)};
    marks_ = committed_marks_;
    epoch_ = stored_epoch();
  }

  std::int64_t stored_epoch() {
    auto meta = writer_->cached("SELECT epoch FROM meta");
    return meta.step() ? meta.integer(0) : -1;
  }

  // Before anything is read that may be answered, the log is written anew in its place, and synced. What recovery found
  // in it need not be on the disk: a hub that was killed between a commit's write and its sync leaves it in the
  // system's cache alone; and after a failed sync pages lie there that count as clean, so that a sync by itself would
  // not write them. The file needs no such care: what a checkpoint has put there stays in the log until its sync was
  // good, and is copied again.
  void settle_log() {
    sqlite3_file* log = nullptr;
    sqlite3_file_control(writer_->handle(), nullptr, SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (log == nullptr || log->pMethods == nullptr) return;  // nothing was ever written
    const auto check = [&](int code) {
      if (code != SQLITE_OK) throw_failed(writer_->handle(), code, "making the log durable failed");
    };
    sqlite3_int64 size = 0;
    check(log->pMethods->xFileSize(log, &size));
    std::string bytes(std::size_t(std::min<sqlite3_int64>(size, kSettleBytes)), '\0');
    for (sqlite3_int64 at = 0; at < size; at += kSettleBytes) {
      const int length = int(std::min<sqlite3_int64>(size - at, kSettleBytes));
      check(log->pMethods->xRead(log, bytes.data(), length, at));
      const int written = log->pMethods->xWrite(log, bytes.data(), length, at);
      if (written == SQLITE_FULL) break;  // a file system that never writes in place: what it has is synced, at least
      check(written);
    }
    if (size > 0) check(log->pMethods->xSync(log, SQLITE_SYNC_FULL));
  }

  Image load_image() {
    const ReadTransaction transaction(*writer_);
    Image image;
    {
      auto meta = writer_->cached("SELECT log, tick, last_event, last_id, last_lane FROM meta");
      meta.step();
      image.log = std::string(meta.view(0));
      image.tick = meta.integer(1);
      image.last_event = meta.integer(2);
      image.last_id = std::uint64_t(meta.integer(3));
      image.last_lane = meta.integer(4);
    }
    {
      auto newest = writer_->cached("SELECT at FROM event ORDER BY no DESC LIMIT 1");
      if (newest.step()) image.last_event_at = newest.integer(0);
    }
    image.tenants = read_tenants(*writer_);
    image.batches = read_batches(*writer_);
    image.counts = read_counts(*writer_);
    image.lanes = lane_states(*writer_);
    image.leases = leased_jobs(*writer_);
    image.hosts = read_hosts(*writer_);
    image.host_drains = read_host_drains(*writer_);
    image.join_tokens = read_join_tokens(*writer_);
    image.enrolments = read_enrolments(*writer_);
    image.packages = read_packages(*writer_);
    image.operations = read_operations(*writer_);
    image.webhooks = read_webhooks(*writer_);
    image.pools = read_pools(*writer_);
    image.machines = live_machines(*writer_);
    image.intents = open_intents(*writer_, "");
    image.scaler = read_scaler(*writer_);
    image.last_decision = newest_decision(*writer_);
    return image;
  }

  static int count_log_pages(void* self, sqlite3*, const char*, int pages) {
    auto& store = *static_cast<SqliteStore*>(self);
    if (pages < store.log_pages_) store.next_checkpoint_ = store.options_.checkpoint_pages;  // it began anew
    store.log_pages_ = pages;
    return SQLITE_OK;
  }

  // Between ticks, so that no answer waits for it. The log begins anew with the next tick if all of it was copied and
  // no reader needs it; readers that keep overlapping would put that off for ever, so that once it is long they are
  // kept out for a moment.
  void checkpoint_if_due() {
    if (log_pages_ < next_checkpoint_) return;
    next_checkpoint_ = log_pages_ + options_.checkpoint_pages;
    const bool is_long = !options_.single_connection && log_pages_ >= kPatientFactor * options_.checkpoint_pages;
    if (!is_long) return checkpoint(SQLITE_CHECKPOINT_PASSIVE);
    const bool too_long = log_pages_ >= kImpatientFactor * options_.checkpoint_pages;
    const bool nobody = pool_.quiet(too_long ? options_.read_limit + kPatienceMs : kQuietMs);
    struct Resume {
      ReadPool& pool;
      ~Resume() { pool.resume(); }
    } resume{pool_};
    checkpoint(nobody ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE);
  }

  // Waits for nobody: our own readers are out, and one of another process (a check, a backup) may take its time.
  void checkpoint(int mode) {
    sqlite3_busy_timeout(writer_->handle(), 0);
    const int code = sqlite3_wal_checkpoint_v2(writer_->handle(), nullptr, mode, nullptr, nullptr);
    sqlite3_busy_timeout(writer_->handle(), kPatienceMs);
    if (code == SQLITE_OK || code == SQLITE_BUSY) {
      if (code == SQLITE_OK && mode == SQLITE_CHECKPOINT_TRUNCATE) {
        log_pages_ = 0;
        next_checkpoint_ = options_.checkpoint_pages;
      }
      return;
    }
    try {
      throw_failed(writer_->handle(), code, "copying the log into the store failed");
    } catch (const StoreFailed& failed) {
      if (failed.failure == Failure::fatal) throw;
      log::warn("{}", failed.what());  // no room to copy it: what is committed is safe in the log
    }
  }

  std::filesystem::path file_;
  SqliteOptions options_;
  Fd lock_;  // before the connections, so that it is held longest
  std::unique_ptr<Database> writer_;
  ReadPool pool_;
  SpaceReserve reserve_;
  SqliteReads reads_;
  HighMarks marks_, committed_marks_;
  std::int64_t epoch_ = 0;  // of this hub's lead
  bool broken_ = false;
  int log_pages_ = 0;
  int next_checkpoint_ = 0;
};

}  // namespace sqlite

std::unique_ptr<Store> open_sqlite(const std::filesystem::path& file, const SqliteOptions& options) {
  return std::make_unique<sqlite::SqliteStore>(file, options);
}

}  // namespace geres::hub::store
