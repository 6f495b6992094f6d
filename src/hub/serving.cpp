// SPDX-License-Identifier: Apache-2.0
#include "hub/serving.h"

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <limits>

#include "base/file.h"
#include "base/log.h"
#include "hub/api/routes.h"
#include "hub/backup.h"
#include "hub/cannot_start.h"
#include "model/job.h"

namespace geres::hub {
namespace {

constexpr Millis kLookEvery = 1'000;  // at the disks
constexpr Millis kArchiveEvery = 60'000;
constexpr unsigned kCarriers = 16;  // each waits for tens of milliseconds, and costs a stack of what limits allow
constexpr std::int64_t kLogEndBytes = 4'096;  // a host's words, after what it kept, that there was more
constexpr std::size_t kFilesOfOurOwn = 200;   // descriptors that are not clients': the store's, uploads, logs

// Clients must not take the last descriptor: the store could not open its files, and nobody would hear why.
std::size_t connections_for(std::size_t wanted) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) return wanted;
  const std::size_t some = std::max<std::size_t>(files.rlim_cur / 2, 1);
  const std::size_t most = files.rlim_cur > 2 * kFilesOfOurOwn ? files.rlim_cur - kFilesOfOurOwn : some;
  if (most >= wanted) return wanted;
  if (most < wanted / 2)
    log::warn("room for {} connections only: this process may open {} files", most, files.rlim_cur);
  return most;
}

http::Options server_options(http::Options options) {
  if (options.threads == 0) options.threads = std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
  options.connections_max = connections_for(options.connections_max);
  return options;
}

}  // namespace

Serving::Serving(engine::Engine& engine, store::Store& store, packages::Blobs& blobs,
                 const std::shared_ptr<objects::ObjectStore>& objects, events::Tail& tail, const Clock& clock,
                 const ServingOptions& options)
    : tail_(tail),
      clock_(clock),
      options_(options),
      logs_(open_logs(store, objects)),
      chronicle_(store.reads(), clock, [this](std::function<void()> work) { purges_.run(std::move(work)); }),
      readiness_(engine.stats(), blobs, options.store_file, options.disk_low, clock),
      pool_(options.read_threads),
      page_(options.page ? *options.page : api::Page::built_in(), options.public_url,
            options.http.tls != nullptr && options.ca_pin.empty()),
      api_{.engine = engine,
           .reads = store.reads(),
           .blobs = blobs,
           .pool = pool_,
           .carriers = objects ? carriers_.emplace(kCarriers) : pool_,
           .explainer = explainer_,
           .walker = walker_,
           .clock = clock,
           .access = access_,
           .feed = feed_,
           .tail = tail,
           .last_hour = last_hour_,
           .signalr = signalr_,
           .logs = *logs_,
           .batch_names = batch_names_,
           .metrics = metrics_,
           .limits = {options.spec_bytes_max, options.list_bytes_max, options.package_bytes_max, options.file_bytes_max,
                      options.report_every},
           .about = {options.store_kind, options.store_address, options.data_dir.string(), clock.wall(),
                     (options.data_dir / kBackupMark).string()},
           .access_log = options.access_log,
           .ready = [this] { return ready_.load(); },
           .readiness = &readiness_,
           .chronicle = &chronicle_,
           .metrics_tenants = std::min(options.metrics_tenants, api::Metrics::kTenantsMax),
           .public_url = options.public_url,
           .tls = options.http.tls,
           .host_auth = options.host_auth,
           .ca_pin = options.ca_pin,
           .sessions = &sessions_,
           .live = &live_,
           .page = &page_,
           .default_tenant = options.default_tenant,
           .own_url = [this] { return best_url(); }} {
  verifier_ = open_verifier();
  access_.verifier = verifier_.get();
  const auto allow = [](auto& brake, double a_second, int burst) { brake.allow(a_second, burst * a_second); };
  allow(api_.brakes.guesses, options.guesses_per_address, 5);
  allow(api_.brakes.tokens, options.calls_per_token, 2);
  allow(api_.brakes.tenants, options.calls_per_tenant, 2);
  allow(api_.brakes.addresses, options.calls_per_address, 2);
  api_.large_bodies.on_drained([this] { give_memory_back(); });
  api_.large_answers.on_drained([this] { give_memory_back(); });
}

// For others: over TLS where that can be had.
std::string Serving::best_url() const {
  const auto all = urls();
  const auto secure = std::find_if(all.begin(), all.end(), [](const auto& one) { return one.starts_with("https://"); });
  return secure != all.end() ? *secure : all.empty() ? std::string() : all.front();
}

Serving::~Serving() {
  give_up();
  stop_listening(0);
  stop();
}

std::unique_ptr<logs::LogStore> Serving::open_logs(store::Store& store,
                                                   const std::shared_ptr<objects::ObjectStore>& objects) {
  auto here = std::make_unique<logs::DirectoryLogs>(options_.data_dir / "logs", options_.log_bytes_max + kLogEndBytes);
  if (!objects) return here;
  auto ask = [&reads = store.reads()](Uuid id) -> logs::ArchivedLogs::Told {
    const auto job = reads.job(id);
    if (!job) return {};
    return {true, job->status.finished_at.value_or(0)};
  };
  auto archived = std::make_unique<logs::ArchivedLogs>(
      std::move(here), objects, std::move(ask), clock_,
      logs::ArchivedLogs::Options{.rest = options_.logs_rest, .gather = options_.data_dir / "blobs.remote" / "logs"});
  archived_ = archived.get();
  return archived;
}

std::unique_ptr<identity::Verifier> Serving::open_verifier() {
  if (options_.auth_config.empty()) return nullptr;
  auth_config_mark_ = file_mark(options_.auth_config);
  auto config = identity::read_auth_config(options_.auth_config);
  if (!config) throw CannotStart("serving.auth_config", config.error().message, config.error().hint);
  const auto& own = options_.public_url;
  for (const auto& provider : config->providers)
    if (provider.login && !own.origin.empty())
      log::event(log::Level::info,
                 "people sign in to the page at an identity provider: register this redirect URI with it",
                 {{"provider", provider.name}, {"redirectUri", own.origin + own.base() + "auth/callback"}});
  return std::make_unique<identity::Verifier>(std::move(*config), identity::Verifier::Options(), clock_);
}

Result<void> Serving::reread_auth_config() {
  if (!verifier_) return {};
  const std::lock_guard lock(auth_config_mutex_);
  auth_config_mark_ = file_mark(options_.auth_config);
  auto done = identity::reread(*verifier_, options_.auth_config);
  if (done)
    log::event(log::Level::info, "the configuration of identity providers was taken up", {});
  else
    log::event(log::Level::err, "the configuration of identity providers was not taken up, the old one goes on",
               {{"error", done.error().message}, {"field", done.error().field}});
  return done;
}

void Serving::look_at_auth_config() {
  if (!verifier_) return;
  {
    const std::lock_guard lock(auth_config_mutex_);
    if (auth_config_mark_ == file_mark(options_.auth_config)) return;
  }
  reread_auth_config();
}

void Serving::give_memory_back() {
  purges_.run([] { ::malloc_trim(0); });
}

void Serving::follow(engine::Engine& engine) {
  engine.on_events([this](std::vector<store::EventRow> events) {
    last_hour_.publish(events);
    chronicle_.publish(events);
    feed_.publish(events);
    tail_.publish(std::move(events));
  });
  engine.on_purged([this](const std::vector<Uuid>& jobs) {
    purges_.run([this, jobs] {
      for (const auto job : jobs) logs_->remove(job);
    });
  });
  engine.on_registry([this](const engine::RegistryNews& news) {
    for (const auto& token : news.tokens) access_.put_token(token);
    for (const auto token : news.tokens_removed) access_.remove_token(token);
    for (const auto& token : news.join_tokens) access_.put_join_token(token);
    for (const auto token : news.join_tokens_removed) access_.remove_join_token(token);
    for (const auto& enrolment : news.enrolments) access_.put_enrolment(enrolment);
    for (const auto enrolment : news.enrolments_removed) access_.remove_enrolment(enrolment);
    for (const auto& host : news.hosts) access_.put_host(host);
    for (const auto host : news.hosts_removed) access_.forget_host(host, clock_.wall());
    for (const auto host : news.hosts_replaced) access_.remove_host(host);
    for (const auto& batch : news.batches) batch_names_.put(batch);
    for (const auto batch : news.batches_removed) batch_names_.remove(batch);
  });
}

void Serving::seed(const engine::Engine& engine) {
  auto& reads = api_.reads;
  tail_.start(engine.last_event());
  last_hour_.seed(reads.ended_since(clock_.wall() - 3'600'000));
  for (const auto& token : reads.tokens()) access_.put_token(token);
  for (const auto& token : reads.join_tokens()) access_.put_join_token(token);
  for (const auto& enrolment : reads.enrolments()) access_.put_enrolment(enrolment);
  const auto hosts = reads.hosts();
  for (const auto& host : hosts) access_.put_host(host);
  chronicle_.seed(hosts);
  for (const auto& stored : reads.batches({}, {}, std::numeric_limits<std::size_t>::max()))
    batch_names_.put(stored.batch);
  teller_.emplace(reads, engine.log(), [this](Uuid batch) { return batch_names_.find(batch); });
  api_.teller = &*teller_;
}

void Serving::start(webhooks::Sender& sender, const amqp::Publisher* publisher, packages::PackageImport* import) {
  api_.import = import;
  api_.webhooks = &sender;
  api_.publisher = publisher;
  server_ =
      std::make_unique<http::Server>(server_options(options_.http), api::make_router(api_, options_.cors_origins));
  if (verifier_) verifier_->start();
  readiness_.look();
  ready_ = true;
  server_->start();
  if (archived_) archived_->start(std::min(options_.logs_rest, kArchiveEvery));
  watcher_.start(kLookEvery, [this] {
    readiness_.look();
    api_.broken_uploads.prune(clock_.monotonic());
    look_at_auth_config();
    chronicle_.sum_up();
  });
}

std::string Serving::sign_in_code(const std::string& token) {
  const auto who = access_.find(token, clock_.wall());
  return who ? sessions_.make_code(*who, clock_.wall()) : std::string();
}

void Serving::stop_listening(Millis deadline) {
  if (server_) server_->stop(deadline);
}

void Serving::stop() {
  watcher_.stop();
  if (verifier_) verifier_->stop();
  if (archived_) archived_->stop();
  pool_.stop();
  if (carriers_) carriers_->stop();
  explainer_.stop();
  purges_.stop();
  chronicle_.sum_up_all();
}

}  // namespace geres::hub
