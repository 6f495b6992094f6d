// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres/postgres_store.h"

#include <chrono>
#include <thread>

#include "base/log.h"
#include "base/uuid.h"
#include "hub/store/postgres/apply.h"
#include "hub/store/postgres/migrate.h"
#include "hub/store/postgres/reads.h"
#include "hub/store/postgres/small_rows.h"
#include "hub/store/postgres/tick_reads.h"

namespace geres::hub::store {
namespace postgres {
namespace {

constexpr Millis kLoadLimit = 120'000;
constexpr Millis kBeatEvery = 1'000;

// A quoted identifier; only what needs no quotes is taken.
const std::string& checked_schema(const std::string& name) {
  const bool plain = !name.empty() && name.size() < 48 && name.front() >= 'a' && name.front() <= 'z' &&
                     name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
  if (!plain) throw StoreFailed(Failure::fatal, "the schema '" + name + "' is no plain name: a-z, 0-9 and _");
  return name;
}

void set_up(Connection& connection, const std::string& schema, Millis statement_limit) {
  connection.script("SET search_path = " + schema +
                    "; SET client_min_messages = warning; SET jit = off; SET lock_timeout = '10s';"
                    " SET idle_in_transaction_session_timeout = '60s'; SET statement_timeout = " +
                    std::to_string(statement_limit));
}

// The engine's session: its statements are prepared once, perhaps while a table is empty, and tables grow.
void set_up_writer(Connection& connection, const std::string& schema) {
  set_up(connection, schema, 0);
  connection.script(
      "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off;"
      " SET plan_cache_mode = force_generic_plan");
}

}  // namespace

class PostgresStore final : public Store {
 public:
  explicit PostgresStore(const PostgresOptions& options)
      : options_(options), pool_([this] { return open_reader(); }, options.readers), reads_(pool_) {
    checked_schema(options_.schema);
    try {
      writer_ = std::make_unique<Connection>(options_.url, "geres hub", options_.tick_limit);
      require_sound(*writer_, options_.unsafe_allowed);
      migrate(*writer_, options_.schema);
      set_up_writer(*writer_, options_.schema);
      writer_->ask("INSERT INTO meta VALUES (1, $1) ON CONFLICT DO NOTHING", Values(random_hex(8)));
      read_epoch();
    } catch (const StoreFailed& failed) {
      if (failed.failure == Failure::fatal) throw;
      throw StoreFailed(Failure::fatal, std::string("cannot use the store: ") + failed.what());
    }
  }

  ~PostgresStore() override {
    if (!leads_ || writer_->lost()) return;
    try {  // whoever waits to lead need not wait for us to stand still
      rollback();
      writer_->ask("UPDATE epoch SET pid = NULL WHERE epoch = $1", Values(epoch_));
    } catch (const StoreFailed&) {
    }
  }

  Image load() override {
    connect();
    rollback();  // what failed before may have left a transaction
    writer_->send("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    Image image = load_image();
    writer_->ask("COMMIT");
    starts_.forget_all();
    return image;
  }

  void lead(Millis engine_now) override {
    connect();
    rollback();
    wait_for_leader();
    writer_->send("BEGIN");
    writer_->send("SET LOCAL lock_timeout = '2s'");
    writer_->send(
        "UPDATE epoch SET epoch = epoch + 1, beat = beat + 1, hub = $1, pid = pg_backend_pid(),"
        " backend_start = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())",
        Values(options_.hub));
    writer_->send("INSERT INTO reign(epoch, first_tick, hub) SELECT epoch, tick + 1, hub FROM epoch");
    cap_durations(*writer_, engine_now);
    writer_->send("COMMIT");
    writer_->wait();
    read_epoch();
    leads_ = true;
  }

  Found begin(const Wanted& wanted) override {
    const auto mine = anew_if_lost([this] {
      beat_if_due();
      writer_->send("BEGIN");
      return writer_->ask("SELECT epoch FROM epoch FOR NO KEY UPDATE");
    });
    if (mine.empty() || mine[0].integer(0) != epoch_) {
      rollback();
      throw StoreFailed(Failure::deposed, "another hub leads on the store at " + writer_->server());
    }
    marks_ = committed_marks_;
    return find_all(*writer_, wanted);
  }

  void apply(const Changes& changes) override {
    for (const auto& row : changes.ready) starts_.came(row);
    apply_changes(*writer_, changes, marks_);
  }

  void commit(std::int64_t tick) override {
    writer_->send(
        "UPDATE epoch SET tick = $1, beat = beat + 1, last_event = $2, last_id = $3, last_lane = $4,"
        " last_backdated = $5",
        Values(tick, marks_.event, std::int64_t(marks_.id), marks_.lane, marks_.backdated));
    // All that was sent has run before COMMIT goes out: what fails before it has surely not happened.
    writer_->wait();
    writer_->forget_warnings();
    try {
      writer_->ask("COMMIT");
    } catch (const PostgresFailed& failed) {
      if (writer_->lost() || failed.state.starts_with("57"))
        throw StoreFailed(Failure::unknown, std::string("the commit's answer is lost: ") + failed.what());
      throw;
    }
    // As when it was cancelled while it waited for a standby: committed here, and perhaps nowhere else.
    if (!writer_->warning().empty()) throw StoreFailed(Failure::unknown, "COMMIT: " + writer_->warning());
    committed_marks_ = marks_;
    starts_.settle();
    last_beat_ = now_ms();
  }

  void rollback() noexcept override {
    marks_ = committed_marks_;
    starts_.forget();
    if (!writer_ || writer_->lost()) return;
    try {
      try {
        writer_->wait();  // what was sent and not asked for
      } catch (const StoreFailed&) {
      }
      if (!writer_->lost() && writer_->in_transaction()) writer_->ask("ROLLBACK");
    } catch (const StoreFailed&) {
    }
  }

  Committed committed(std::int64_t tick) override {
    const auto rows =
        anew_if_lost([this] { return writer_->ask("SELECT tick FROM epoch WHERE epoch = $1", Values(epoch_)); });
    if (rows.empty()) return Committed::deposed;
    return rows[0].integer(0) >= tick ? Committed::done : Committed::not_done;
  }

  std::vector<std::optional<model::Job>> jobs_by_key(std::span<const KeyRef> keys) override {
    return postgres::jobs_by_key(*writer_, keys);
  }
  std::optional<ListKeyRow> list_key(const std::string& scope, const std::string& key) override {
    const KeyRef ref{scope, key};
    return list_keys(*writer_, std::span(&ref, 1)).front();
  }
  std::vector<std::optional<model::Job>> jobs(std::span<const Uuid> ids) override { return jobs_by_id(*writer_, ids); }
  std::vector<model::Job> jobs_by_seq(std::span<const Seq> seqs) override {
    return postgres::jobs_by_seq(*writer_, seqs);
  }
  std::optional<AttemptRow> ended_attempt(Uuid lease) override {
    return ended_attempts(*writer_, std::span(&lease, 1)).front();
  }
  std::optional<ScheduledRow> scheduled_row(Uuid id) override {
    return scheduled_rows(*writer_, std::span(&id, 1)).front();
  }
  std::vector<Taken> take_ready(std::span<const LaneTake> lanes) override {
    return postgres::take_ready(*writer_, starts_, lanes);
  }
  std::vector<ReadyRow> peek_ready(LaneNo lane, std::size_t n) override {
    return postgres::peek_ready(*writer_, starts_, lane, n);
  }
  std::vector<std::optional<ReadyRow>> heads(std::span<const LaneNo> lanes) override {
    return postgres::heads(*writer_, starts_, lanes);
  }
  std::vector<ScheduledRow> due(Millis engine_now, Millis wall_now, std::size_t max) override {
    return postgres::due(*writer_, engine_now, wall_now, max);
  }
  std::optional<Millis> next_due(bool by_wall) override { return postgres::next_due(*writer_, by_wall); }
  std::vector<QueueDeadlineRow> deadlines_due(Millis engine_now, std::size_t max) override {
    return postgres::deadlines_due(*writer_, engine_now, max);
  }
  std::optional<Millis> next_deadline() override { return postgres::next_deadline(*writer_); }
  Slice slice(const JobFilter& filter, Seq after, Seq bound, std::size_t scan) override {
    return postgres::slice(*writer_, filter, after, bound, scan);
  }
  std::vector<Uuid> ended_before(model::JobState state, Millis before, const std::string& tenant,
                                 const std::vector<std::string>& except, std::size_t max) override {
    return postgres::ended_before(*writer_, state, before, tenant, except, max);
  }
  bool package_in_use(const std::string& tenant, const std::string& sha256) override {
    return postgres::package_in_use(*writer_, tenant, sha256);
  }
  bool token_named(const std::string& name, const std::vector<std::string>& tenants, Millis now) override {
    return postgres::token_named(*writer_, name, tenants, now);
  }

  std::optional<MachineRow> machine(const std::string& pool, const std::string& instance) override {
    return select_one(*writer_, tables::machine, " WHERE pool = $1 AND instance = $2", GERES_READ(machine),
                      Values(pool, instance));
  }
  std::optional<IntentRow> intent(const std::string& request) override {
    return select_one(*writer_, tables::scaler_intent, " WHERE request = $1", GERES_READ(intent), Values(request));
  }
  std::optional<DecisionRow> last_decision(const std::string& pool) override {
    return select_one(*writer_, tables::scaler_decision, " WHERE pool = $1 ORDER BY id DESC LIMIT 1",
                      GERES_READ(decision), Values(pool));
  }

  std::optional<BlobRow> blob(const BlobKey& key) override {
    const std::string digest = digest_bytes(key.sha256);
    return select_one(*writer_, tables::blob, " WHERE tenant = $1 AND sha256 = $2", GERES_READ(blob),
                      Values(key.tenant, Blob{digest}));
  }
  std::vector<BlobRow> blobs_since(BlobState state, Millis before, const BlobRow& after, std::size_t max) override {
    return postgres::blobs_since(*writer_, state, before, after, max);
  }
  bool blob_named(const BlobKey& key) override { return postgres::blob_named(*writer_, key); }

  std::vector<DeliveryRow> deliveries(Uuid webhook, DeliveryState state, EventNo after, std::size_t max) override {
    return postgres::deliveries(*writer_, webhook, state, after, max);
  }

  std::size_t purge_events(EventNo keep_from, Millis before, Millis now, std::size_t max) override {
    return postgres::purge_events(*writer_, keep_from, before, now, max);
  }
  KeySlice purge_list_keys(Millis before, KeyPlace after, std::size_t max) override {
    return postgres::purge_list_keys(*writer_, before, after, max);
  }
  std::size_t purge_deliveries(Uuid webhook, bool all, Millis before, std::size_t dead_max, std::size_t max) override {
    return postgres::purge_deliveries(*writer_, webhook, all, before, dead_max, max);
  }
  std::size_t purge_scaler(Millis before, std::size_t max) override {
    return postgres::purge_scaler(*writer_, before, max);
  }

  Reads& reads() override { return reads_; }

 private:
  static Millis now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
  }

  std::unique_ptr<Connection> open_reader() {
    auto connection = std::make_unique<Connection>(options_.url, "geres hub: reads", options_.read_limit + 5'000);
    set_up(*connection, options_.schema, options_.read_limit);
    return connection;
  }

  // For what begins anew: a connection that was ended while it was idle is found out by the first question.
  template <class F>
  Result anew_if_lost(F ask) {
    connect();
    try {
      return ask();
    } catch (const PostgresFailed&) {
      if (!writer_->lost()) throw;
    }
    connect();
    return ask();
  }

  struct Leader {
    std::int64_t epoch = 0, beat = 0;
    bool stopped = true;  // in good order, or nobody ever led
    std::string hub;
    std::string waits_for;  // what its connection waits for, as the server has it; empty: it is gone
  };

  Leader leader() {
    const auto rows = writer_->ask(
        "SELECT e.epoch, e.beat, e.pid IS NULL, e.hub, coalesce(a.wait_event, a.state, '') FROM epoch e"
        " LEFT JOIN pg_stat_activity a ON a.pid = e.pid AND a.backend_start = e.backend_start");
    Leader found;
    if (rows.empty()) return found;
    const auto row = rows[0];
    found.epoch = row.integer(0);
    found.beat = row.integer(1);
    found.stopped = row.integer(2) != 0;
    found.hub = row.view(3);
    found.waits_for = row.view(4);
    return found;
  }

  // Until nobody else leads here, or who does has shown no life for long enough.
  void wait_for_leader() {
    Leader seen = leader();
    Millis since = now_ms();
    bool alive = false, told_of_standby = false;
    while (!seen.stopped && !(leads_ && seen.epoch == epoch_)) {
      if (options_.stopping && options_.stopping())
        throw StoreFailed(Failure::refused, "stopped before it led: " + name_of(seen) + " leads on this store");
      std::this_thread::sleep_for(std::chrono::milliseconds(std::min<Millis>(250, options_.stands_still / 4)));
      const Leader now = leader();
      if (now.epoch != seen.epoch || now.beat != seen.beat) {
        if (!alive) log::info("{} leads on the store: this hub waits until it stops or shows no life", name_of(now));
        alive = true;
        since = now_ms();
      }
      seen = now;
      if (now_ms() - since < options_.stands_still) continue;
      if (seen.waits_for != "SyncRep") {
        log::warn("{} led on the store and shows no life: this hub takes over", name_of(seen));
        break;
      }
      // Its commit waits for a standby. It is not dead, and taking over would show what no standby has.
      if (!told_of_standby) log::warn("PostgreSQL waits for its synchronous standby, {} for PostgreSQL", name_of(seen));
      told_of_standby = true;
    }
    end_backend_of(seen.epoch);
  }

  static std::string name_of(const Leader& leader) {
    return leader.hub.empty() ? "another hub" : "the hub " + leader.hub;
  }

  // It may hold the epoch's row, frozen in the middle of a tick.
  void end_backend_of(std::int64_t epoch) {
    writer_->ask(
        "SELECT pg_terminate_backend(a.pid, 1500) FROM epoch e JOIN pg_stat_activity a ON a.pid = e.pid"
        " AND a.backend_start = e.backend_start WHERE e.epoch = $1 AND a.pid <> pg_backend_pid()",
        Values(epoch));
  }

  // A new connection in place of one that is lost. The server may still believe in the old one, with the epoch's row
  // locked, and would keep us out until it noticed.
  void connect() {
    if (!writer_->lost()) return;
    auto fresh = std::make_unique<Connection>(options_.url, "geres hub", options_.tick_limit);
    set_up_writer(*fresh, options_.schema);
    writer_ = std::move(fresh);
    if (leads_) {
      end_backend_of(epoch_);
      writer_->ask(
          "UPDATE epoch SET pid = pg_backend_pid(), backend_start = (SELECT backend_start FROM pg_stat_activity"
          " WHERE pid = pg_backend_pid()) WHERE epoch = $1",
          Values(epoch_));
    }
    starts_.forget_all();
    log::info("connected to PostgreSQL at {} again", writer_->server());
  }

  // Others see by this that the leader lives though it has nothing to write.
  void beat_if_due() {
    if (!leads_ || now_ms() < last_beat_ + kBeatEvery) return;
    writer_->ask("UPDATE epoch SET beat = beat + 1 WHERE epoch = $1", Values(epoch_));
    last_beat_ = now_ms();
  }

  void read_epoch() {
    const auto rows = writer_->ask("SELECT epoch, last_event, last_id, last_lane, last_backdated FROM epoch");
    if (rows.empty()) throw StoreFailed(Failure::fatal, "the store's first table is empty");
    epoch_ = rows[0].integer(0);
    committed_marks_ = {rows[0].integer(1), std::uint64_t(rows[0].integer(2)), rows[0].integer(3), rows[0].integer(4)};
    marks_ = committed_marks_;
  }

  Image load_image() {
    Connection& c = *writer_;
    Image image;
    const auto first = c.ask(
        "SELECT m.log, e.tick, e.last_event, e.last_id, e.last_lane, e.last_backdated,"
        " (SELECT at FROM event ORDER BY no DESC LIMIT 1) FROM meta m, epoch e");
    const auto row = first[0];
    image.log = row.view(0);
    image.tick = row.integer(1);
    image.last_event = row.integer(2);
    image.last_id = std::uint64_t(row.integer(3));
    image.last_lane = row.integer(4);
    image.last_event_at = row.integer(6);
    committed_marks_ = {image.last_event, image.last_id, image.last_lane, row.integer(5)};
    marks_ = committed_marks_;
    image.tenants = select(c, tables::tenant, " ORDER BY name", GERES_READ(tenant));
    image.batches = select(c, tables::batch, " ORDER BY id", GERES_READ(batch));
    image.counts = read_counts(c);
    image.lanes = lane_states(c);
    image.leases = leased_jobs(c);
    image.hosts = select(c, tables::host, " ORDER BY id", GERES_READ(host));
    image.host_drains = select(c, tables::host_drain, " ORDER BY name, tenants", GERES_READ(host_drain));
    image.join_tokens = select(c, tables::join_token, " ORDER BY id", GERES_READ(join_token));
    image.enrolments = select(c, tables::enrolment, " ORDER BY id", GERES_READ(enrolment));
    image.packages = select(c, tables::package, " ORDER BY tenant, name, version", GERES_READ(package));
    image.operations = select(c, tables::operation, " ORDER BY id", GERES_READ(operation));
    image.webhooks = select(c, tables::webhook, " ORDER BY id", GERES_READ(webhook));
    image.pools = select(c, tables::pool, " ORDER BY name", GERES_READ(pool));
    image.machines = select(c, tables::machine, " WHERE gone_at IS NULL ORDER BY pool, instance", GERES_READ(machine));
    image.intents = read_open_intents(c, "");
    image.scaler = read_scaler(c);
    image.last_decision = c.ask("SELECT max(id) FROM scaler_decision")[0].integer(0);
    return image;
  }

  PostgresOptions options_;
  std::unique_ptr<Connection> writer_;
  ReadPool pool_;
  PostgresReads reads_;
  LaneStarts starts_;
  HighMarks marks_, committed_marks_;
  std::int64_t epoch_ = 0;  // of this hub's lead
  bool leads_ = false;
  Millis last_beat_ = 0;
};

}  // namespace postgres

namespace {

using Parts = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

std::string part_of(const PQconninfoOption* parts, std::string_view name) {
  for (; parts != nullptr && parts->keyword != nullptr; ++parts)
    if (parts->keyword == name && parts->val != nullptr) return parts->val;
  return {};
}

}  // namespace

Result<std::string> shown_address(const std::string& url) {
  char* error = nullptr;
  const Parts parts(PQconninfoParse(url.c_str(), &error), &PQconninfoFree);
  const std::unique_ptr<char, decltype(&PQfreemem)> message(error, &PQfreemem);
  if (!parts) {
    const std::string_view why = error == nullptr ? "it cannot be read" : error;
    return fail(Code::badValue, std::string(why.substr(0, why.find('\n'))));
  }
  const std::string port = part_of(parts.get(), "port");
  return "postgresql://" + part_of(parts.get(), "host") + (port.empty() ? "" : ":" + port) + "/" +
         part_of(parts.get(), "dbname");
}

bool has_password(const std::string& url) {
  const Parts parts(PQconninfoParse(url.c_str(), nullptr), &PQconninfoFree);
  return !part_of(parts.get(), "password").empty();
}

std::unique_ptr<Store> open_postgres(const PostgresOptions& options) {
  return std::make_unique<postgres::PostgresStore>(options);
}

}  // namespace geres::hub::store
