// SPDX-License-Identifier: Apache-2.0
#include "hub/hub.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <future>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "base/origin.h"
#include "base/sha256.h"
#include "base/worker_pool.h"
#include "http/server.h"
#include "hub/amqp/publisher.h"
#include "hub/api/metrics.h"
#include "hub/api/routes.h"
#include "hub/backup.h"
#include "hub/events/chronicle.h"
#include "hub/packages/directory_blobs.h"
#include "hub/store/sqlite/sqlite_store.h"
#include "hub/webhooks/sender.h"

namespace geres::hub {
namespace {

constexpr Millis kReportEvery = 5'000;
constexpr Millis kHostLostAfter = 30'000;
constexpr Millis kLookEvery = 1'000;          // at the disks
constexpr std::int64_t kLogEndBytes = 4'096;  // a host's words, after what it kept, that there was more

// "kind:place", or the default place.
std::filesystem::path place_of(const std::string& url, std::string_view kind, const std::filesystem::path& otherwise) {
  if (url.empty()) return otherwise;
  const std::string scheme = std::string(kind) + ":";
  if (!url.starts_with(scheme) || url.size() == scheme.size())
    throw std::runtime_error(fmt::format("'{}' is not supported: give {}PATH", url, scheme));
  return url.substr(scheme.size());
}

unsigned threads_of(unsigned wanted) {
  if (wanted > 0) return wanted;
  return std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
}

// One verb of the engine from a plain thread.
template <class T, class Ask>
Result<T> ask_and_wait(Ask ask) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  ask(engine::Answer<T>([promise](Result<T> answer) { promise->set_value(std::move(answer)); }));
  return future.get();
}

// Three reports fit into a lease and its margin, and a lost one is noticed soon.
Millis report_every(const HubOptions& options) {
  return options.report_every > 0 ? options.report_every : std::min(kReportEvery, options.lease / 4);
}

engine::Options engine_options(const HubOptions& options) {
  engine::Options to;
  to.lease = options.lease;
  to.host_lost_after = std::max(std::min(options.lease, kHostLostAfter), 3 * report_every(options));
  to.keep_finished = options.keep_finished;
  to.keep_failed = options.keep_failed;
  to.keep_key_min = options.keep_key_min;
  return to;
}

webhooks::Options webhook_options(const HubOptions& options) {
  webhooks::Options to;
  auto rules = webhooks::AddressRules::allowing(options.webhook_allow);
  if (!rules) throw std::runtime_error("--webhook-allow: " + rules.error().message);
  to.rules = std::move(*rules);
  to.ca_file = options.webhook_ca;
  if (!to.ca_file.empty())
    if (auto ok = webhooks::check_ca_file(to.ca_file); !ok)
      throw std::runtime_error("--webhook-ca: " + ok.error().message);
  to.retry_first = options.webhook_retry;
  to.attempts_max = options.webhook_attempts;
  return to;
}

amqp::Options amqp_options(const HubOptions& options) {
  amqp::Options to;
  to.access = {options.amqp, options.amqp_user, options.amqp_password, options.amqp_ca};
  to.from_start = options.amqp_from_start;
  to.tries_max = options.amqp_tries;
  return to;
}

// Descriptors that are not clients': the store's, uploads and downloads under way, logs.
constexpr std::size_t kFilesOfOurOwn = 200;

// Clients must not take the last descriptor: the store could not open its files, and nobody would hear why.
std::size_t connections_of(const HubOptions& options) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) return options.connections_max;
  const std::size_t some = std::max<std::size_t>(files.rlim_cur / 2, 1);
  const std::size_t most = files.rlim_cur > 2 * kFilesOfOurOwn ? files.rlim_cur - kFilesOfOurOwn : some;
  if (most >= options.connections_max) return options.connections_max;
  if (most < options.connections_max / 2)
    log::warn("room for {} connections only: this process may open {} files", most, files.rlim_cur);
  return most;
}

std::vector<std::string> cors_origins(const HubOptions& options) {
  for (const auto& origin : options.cors_origins)
    if (const auto ok = check_origin(origin); !ok)
      throw std::runtime_error(fmt::format("--cors-origin '{}' is not an origin: {}", origin, ok.error().message));
  return options.cors_origins;
}

http::Options server_options(const HubOptions& options) {
  http::Options to;
  to.address = options.address;
  to.port = options.port;
  to.threads = threads_of(options.http_threads);
  to.connections_max = connections_of(options);
  if (options.client_patience > 0) {
    to.header_time_max = to.body_stall_max = to.write_stall_max = options.client_patience;
    to.idle_time_max = std::max(to.idle_time_max, options.client_patience);
    to.linger_time_max = std::min(to.linger_time_max, options.client_patience);
  }
  return to;
}

// What lies in a hub's directory is nobody else's: jobs, results, files and secrets of all tenants. A directory that
// was there before (systemd's StateDirectory, mkdir) is often open to everybody, and so were files of 0.1.0 in it. A
// host may live there too, whose jobs have users of their own: these pass through, and read nothing.
void close_to_others(const std::filesystem::path& directory) {
  const auto close = [](const std::filesystem::path& path, mode_t kept) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0 || S_ISLNK(status.st_mode)) return;
    const mode_t mode = status.st_mode & 07777, closed = mode & kept;
    if (mode == closed) return;
    if (status.st_uid != ::geteuid() && ::geteuid() != 0)
      throw std::runtime_error(fmt::format("{} is open to other users and not this one's; try: chmod {:o} {}",
                                           path.string(), closed, path.string()));
    if (::chmod(path.c_str(), closed) != 0)
      throw std::system_error(errno, std::generic_category(), "close " + path.string() + " to other users");
    log::warn("{} was open to other users and is not any more", path.string());
  };
  close(directory, 0711);
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.path().filename() != "host") close(entry.path(), 0700);
}

Fd lock_data(const std::filesystem::path& directory) {
  make_private_directory(directory);
  close_to_others(directory);
  Fd lock = try_lock_file(directory / "hub.lock");
  if (!lock) throw std::runtime_error(fmt::format("another hub uses {}", directory.string()));
  return lock;
}

// A hub has been here, and what it kept is not: an empty one in its place would look as if all were well.
void check_store_is_there(const std::filesystem::path& data, const std::filesystem::path& store,
                          const std::filesystem::path& token) {
  std::error_code ignored;
  const auto size = std::filesystem::file_size(store, ignored);
  if ((!ignored && size > 0) || !std::filesystem::exists(token, ignored)) return;
  throw std::runtime_error(fmt::format(
      "{} has a hub's admin.token, but {} is {}: is something not mounted? Put the store back, or a backup of it "
      "(geres "
      "hub restore); to begin anew, remove {}",
      data.string(), store.string(), std::filesystem::exists(store, ignored) ? "empty" : "missing", token.string()));
}

// Work that is done again and again, on a thread of its own.
class Repeated {
 public:
  ~Repeated() { stop(); }
  void start(Millis every, std::function<void()> work) {
    thread_ = std::thread([this, every, work = std::move(work)] {
      std::unique_lock lock(mutex_);
      while (!wake_.wait_for(lock, std::chrono::milliseconds(every), [this] { return stop_; })) {
        lock.unlock();
        work();
        lock.lock();
      }
    });
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace

// In the order in which they are made; each uses those above it only.
struct Hub::Parts {
  Parts(const HubOptions& options, const std::filesystem::path& store_file, const std::filesystem::path& blob_directory)
      : data_lock(lock_data(options.data_dir)),
        store(store::open_sqlite(store_file)),
        blobs(packages::open_directory_blobs(blob_directory, options.disk_reserve)),
        logs(options.data_dir / "logs", options.log_bytes_max + kLogEndBytes),
        chronicle(store->reads(), clock, [this](std::function<void()> work) { purges.run(std::move(work)); }),
        engine(*store, clock, random, engine_options(options)),
        readiness(engine.stats(), *blobs, store_file, 2 * options.disk_reserve, clock),
        pool(options.read_threads),
        explainer(1),
        walker(1),
        purges(1),
        tail(store->reads()),
        sender(engine, store->reads(), tail, clock, webhook_options(options)),
        api{engine,  store->reads(), *blobs,  pool, explainer,   walker,  clock, access, feed,  tail,
            nullptr, last_hour,      signalr, logs, batch_names, metrics, {},    {},     false, {}} {
    api.brakes.guesses.allow(options.guesses_per_address, 5 * options.guesses_per_address);
    api.brakes.tokens.allow(options.calls_per_token, 2 * options.calls_per_token);
    api.brakes.tenants.allow(options.calls_per_tenant, 2 * options.calls_per_tenant);
    api.brakes.addresses.allow(options.calls_per_address, 2 * options.calls_per_address);
    api.large_bodies.on_drained([this] { give_memory_back(); });
    api.large_answers.on_drained([this] { give_memory_back(); });
    if (!options.amqp.empty()) publisher.emplace(engine, store->reads(), tail, clock, amqp_options(options));
  }

  Fd data_lock;
  SystemClock clock;
  SystemRandom random;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<packages::Blobs> blobs;
  api::LogStore logs;
  events::Feed feed;
  events::LastHour last_hour;
  events::Chronicle chronicle;
  api::Access access;
  api::BatchNames batch_names;
  api::Metrics metrics;
  engine::Engine engine;
  api::Readiness readiness;
  WorkerPool pool;
  WorkerPool explainer;
  WorkerPool walker;
  WorkerPool purges;  // removes old logs, gives memory back, looks jobs up: away from those who wait for reads
  events::Tail tail;
  std::optional<events::Teller> teller;  // once the log's name is known
  webhooks::Sender sender;
  std::optional<amqp::Publisher> publisher;
  signalr::Connections signalr;
  api::Api api;
  std::unique_ptr<engine::EngineThread> engine_thread;
  std::unique_ptr<http::Server> server;
  std::atomic<bool> ready = false;

  Repeated sweeper;
  Repeated watcher;

  void set_up_api(const HubOptions& options, const std::filesystem::path& store_file);
  void start_engine(const HubOptions& options);
  void start_publisher();
  void load_access();
  void make_admin_token(const std::filesystem::path& file, bool anew);
  void give_memory_back() {
    purges.run([] { ::malloc_trim(0); });
  }
  void start_upkeep(const HubOptions& options);
  void sweep(Millis keep_unnamed);
  void stop(Millis deadline);
};

void Hub::Parts::set_up_api(const HubOptions& options, const std::filesystem::path& store_file) {
  api.limits = {options.spec_bytes_max, options.list_bytes_max, options.package_bytes_max, options.file_bytes_max,
                report_every(options)};
  api.about = {"sqlite", store_file.string(), options.data_dir.string(), clock.wall(),
               (options.data_dir / kBackupMark).string()};
  api.access_log = options.access_log;
  api.metrics_tenants = std::min(options.metrics_tenants, api::Metrics::kTenantsMax);
  api.default_tenant = options.default_tenant;
  api.ready = [this] { return ready.load(); };
}

void Hub::Parts::start_engine(const HubOptions& options) {
  engine.on_events([this](std::vector<store::EventRow> events) {
    last_hour.publish(events);
    chronicle.publish(events);
    feed.publish(events);
    tail.publish(std::move(events));
  });
  engine.on_purged([this](const std::vector<Uuid>& jobs) {
    purges.run([this, jobs] {
      for (const auto job : jobs) logs.remove(job);
    });
  });
  engine.on_batches_gone([this](const std::vector<Uuid>& batches) {
    for (const auto batch : batches) batch_names.remove(batch);
  });
  engine.on_webhooks([this](engine::WebhookNews news) { sender.hear(std::move(news)); });
  engine.load();
  tail.start(engine.last_event());
  teller.emplace(api.reads, engine.log(), [this](Uuid batch) { return batch_names.find(batch); });
  api.teller = &*teller;
  api.webhooks = &sender;
  api.readiness = &readiness;
  api.chronicle = &chronicle;
  last_hour.seed(api.reads.ended_since(clock.wall() - 3'600'000));
  engine_thread = std::make_unique<engine::EngineThread>(engine, [this, options](const std::string& what) {
    ready = false;
    log::event(log::Level::err, "hub gives up: the store failed", {{"error", what}});
    if (options.on_fatal) options.on_fatal(what);
  });
  engine_thread->start();
  sender.start(*teller);
}

// After the batches' names are known, which stand in events, and before there are clients.
void Hub::Parts::start_publisher() {
  if (!publisher) return;
  publisher->start(*teller);
  api.publisher = &*publisher;
}

void Hub::Parts::load_access() {
  for (const auto& token : api.reads.tokens()) access.put_token(token);
  const auto hosts = api.reads.hosts();
  for (const auto& host : hosts) access.put_host(host);
  chronicle.seed(hosts);
  for (const auto& stored : api.reads.batches({}, {}, std::numeric_limits<std::size_t>::max()))
    batch_names.put(stored.batch);
}

// The file is written first: a hub that dies in between takes the secret up again from it. A file that is gone is not
// made again unasked: whoever has moved the secret elsewhere does not want it here.
void Hub::Parts::make_admin_token(const std::filesystem::path& file, bool anew) {
  const auto tokens = api.reads.tokens();
  const auto is_admin = [](const model::Token& token) {
    return token.tenants.empty() &&
           std::find(token.roles.begin(), token.roles.end(), model::Role::admin) != token.roles.end();
  };
  std::string secret;
  if (const auto left = read_file_if(file)) secret = left->substr(0, left->find_first_of("\r\n"));
  const auto digest = sha256_hex(secret);
  const bool good = std::any_of(tokens.begin(), tokens.end(),
                                [&](const model::Token& token) { return is_admin(token) && token.sha256 == digest; });
  if (good) return;
  if (std::any_of(tokens.begin(), tokens.end(), is_admin)) {
    if (!anew) {
      log::warn("{} holds no admin's token; whoever has none left starts once with --new-admin-token", file.string());
      return;
    }
    secret.clear();
  }
  if (secret.size() < 32) {
    secret = api::new_secret();
    replace_file(file, secret + "\n", 0600);
  }
  model::Token token;
  token.name = "admin";
  token.sha256 = sha256_hex(secret);
  token.roles = {model::Role::admin};
  for (int n = 2;; ++n) {
    auto made = ask_and_wait<model::Token>(
        [&](engine::Answer<model::Token> answer) { engine.ask(engine::CreateToken{token}, std::move(answer)); });
    if (made) {
      log::event(log::Level::info, "token made",
                 {{"token", made->name},
                  {"tokenId", made->id.str()},
                  {"roles", "admin"},
                  {"tenants", "*"},
                  {"by", "the hub"}});
      return access.put_token(*made);
    }
    if (made.error().code != Code::nameTaken || n > 100)
      throw std::runtime_error(fmt::format("the admin token could not be stored: {}", made.error().message));
    token.name = fmt::format("admin-{}", n);
  }
}

void Hub::Parts::start_upkeep(const HubOptions& options) {
  sweeper.start(options.sweep_every, [this, keep = options.blob_keep_unnamed] { sweep(keep); });
  watcher.start(kLookEvery, [this] {
    readiness.look();
    chronicle.sum_up();
  });
}

void Hub::Parts::sweep(Millis keep_unnamed) {
  try {
    const auto keep = [this](std::string_view tenant, std::string_view sha256) {
      return api.reads.blob_named(std::string(tenant), std::string(sha256));
    };
    const auto removed = blobs->sweep(clock.wall() - keep_unnamed, keep);
    if (removed > 0) log::info("removed {} uploads that nothing named", removed);
  } catch (const std::exception& what) {
    log::warn("sweeping uploads failed: {}", what.what());
  }
}

void Hub::Parts::stop(Millis deadline) {
  const Millis end = clock.monotonic() + deadline;
  const auto left = [&] { return std::max<Millis>(0, end - clock.monotonic()); };
  ready = false;
  sender.stop(left() / 3);                     // what came of its last calls is written down
  if (publisher) publisher->stop(left() / 3);  // likewise its cursor
  engine.stop_accepting();
  if (server) server->stop(left());
  if (engine_thread) engine_thread->stop();
  sweeper.stop();
  watcher.stop();
  pool.stop();
  explainer.stop();
  purges.stop();
  chronicle.sum_up_all();
}

Hub::Hub(HubOptions options) : options_(std::move(options)) {}

Hub::~Hub() {
  stop(0);
}

std::string Hub::start() {
  if (parts_) return url();
  check_store_is_there(options_.data_dir, store_file(), admin_token_file());
  const auto blob_directory = place_of(options_.blobs, "dir", options_.data_dir / "blobs");
  auto parts = std::make_unique<Parts>(options_, store_file(), blob_directory);
  try {
    parts->set_up_api(options_, store_file());
    parts->start_engine(options_);
    parts->load_access();
    parts->start_publisher();
    parts->make_admin_token(admin_token_file(), options_.new_admin_token);
    parts->server =
        std::make_unique<http::Server>(server_options(options_), api::make_router(parts->api, cors_origins(options_)));
    parts->readiness.look();
    parts->ready = true;
    parts->server->start();
    // Beside the token: whose it is. The command line sends it there and nowhere else.
    replace_file(options_.data_dir / "admin.hub", parts->server->url() + "\n", 0600);
    parts->start_upkeep(options_);
    log::event(log::Level::info, "hub started",
               {{"version", GERES_VERSION},
                {"url", parts->server->url()},
                {"data", options_.data_dir.string()},
                {"store", store_file().string()},
                {"ms", parts->clock.wall() - parts->api.about.started_at}});
  } catch (...) {
    parts->stop(0);
    throw;
  }
  parts_ = std::move(parts);
  return url();
}

void Hub::stop(Millis deadline) {
  if (!parts_) return;
  const Millis start = parts_->clock.monotonic();
  log::event(log::Level::info, "hub stops", {});
  parts_->stop(deadline);
  log::event(log::Level::info, "hub stopped", {{"ms", parts_->clock.monotonic() - start}});
  parts_.reset();
}

std::string Hub::url() const {
  return parts_ ? parts_->server->url() : std::string();
}

std::filesystem::path Hub::admin_token_file() const {
  return options_.data_dir / "admin.token";
}

std::filesystem::path Hub::store_file() const {
  return place_of(options_.store, "sqlite", options_.data_dir / "geres.db");
}

}  // namespace geres::hub
