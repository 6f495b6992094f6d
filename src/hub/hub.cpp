// SPDX-License-Identifier: Apache-2.0
// A bill of materials: what a hub is made of, and in which order it starts and stops.
#include "hub/hub.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "base/origin.h"
#include "http/server.h"
#include "hub/admin_token.h"
#include "hub/amqp/target.h"
#include "hub/blob_place.h"
#include "hub/data_directory.h"
#include "hub/leading.h"
#include "hub/packages/package_import.h"
#include "hub/serving.h"
#include "hub/store_place.h"
#include "hub/stored_blob_index.h"

namespace geres::hub {
namespace {

constexpr Millis kReportEvery = 5'000;
constexpr Millis kHostLostAfter = 30'000;

// Three reports fit into a lease and its margin, and a lost one is noticed soon.
Millis report_every(const HubOptions& options) {
  return options.serving.report_every > 0 ? options.serving.report_every
                                          : std::min(kReportEvery, options.engine.lease / 4);
}

bool of_access(const std::string& field) {
  return field == "url" || field == "user";
}

LeadingOptions leading_options(const HubOptions& options) {
  LeadingOptions to{options.engine, options.webhooks, options.amqp, options.keep_unnamed, options.sweep_every};
  to.engine.host_lost_after = std::max(std::min(options.engine.lease, kHostLostAfter), 3 * report_every(options));
  auto rules = webhooks::AddressRules::allowing(options.webhook_allow);
  if (!rules) throw CannotStart("webhook_allow", rules.error().message);
  to.webhooks.rules = std::move(*rules);
  if (!to.webhooks.ca_file.empty())
    if (const auto ok = webhooks::check_ca_file(to.webhooks.ca_file); !ok)
      throw CannotStart("webhooks.ca_file", ok.error().message, "FILE, with certificates in PEM");
  const auto& amqp = to.amqp.access;
  if (amqp.url.empty()) return to;
  if (const auto target = amqp::parse_target(amqp); !target)
    throw CannotStart("amqp.access." + target.error().field, target.error().message, target.error().hint);
  else if (const auto tokens = amqp::check_tokens(options.amqp.tokens, amqp, *target); !tokens)
    throw CannotStart((of_access(tokens.error().field) ? "amqp.access." : "amqp.tokens.") + tokens.error().field,
                      tokens.error().message, tokens.error().hint);
  if (!amqp.ca_file.empty())
    if (const auto ok = webhooks::check_ca_file(amqp.ca_file); !ok)
      throw CannotStart("amqp.access.ca_file", ok.error().message, "FILE, with certificates in PEM");
  return to;
}

// Null where nothing is served over TLS.
std::unique_ptr<TlsUpkeep> open_tls(const HubOptions& options, const Clock& clock) {
  std::vector<std::string> listening;
  for (const auto& at : options.serving.http.listen)
    if (at.tls) listening.push_back(at.address);
  if (listening.empty()) return nullptr;
  auto names = names_of_machine(listening);
  const auto& own = options.serving.public_url.origin;
  if (const auto scheme = own.find("://"); scheme != std::string::npos) {
    auto host = own.substr(scheme + 3);
    host = host.starts_with('[') ? host.substr(1, host.find(']') - 1) : host.substr(0, host.find(':'));
    if (std::find(names.begin(), names.end(), host) == names.end()) names.push_back(host);
  }
  return std::make_unique<TlsUpkeep>(options.tls, options.data_dir / "tls", std::move(names), clock);
}

ServingOptions serving_options(const HubOptions& options, const TlsUpkeep* tls) {
  auto to = options.serving;
  if (tls != nullptr) to.http.tls = tls->context(), to.ca_pin = tls->ca_pin();
  to.data_dir = options.data_dir;
  const auto place = store_place(options.store, options.data_dir);
  to.store_kind = place.kind;
  to.store_address = place.shown;
  to.store_file = place.disk;
  to.disk_low = 2 * options.disk_reserve;
  to.report_every = report_every(options);
  for (const auto& origin : to.cors_origins)
    if (const auto ok = check_origin(origin); !ok)
      throw CannotStart("serving.cors_origins", fmt::format("'{}' is not an origin: {}", origin, ok.error().message));
  return to;
}

}  // namespace

// In the order in which they are made; each uses those above it only.
struct Hub::Parts {
  explicit Parts(const HubOptions& options)
      : data_lock(lock_data_directory(options.data_dir)),
        tls(open_tls(options, clock)),
        store(open_store(store_place(options.store, options.data_dir), options.stopping)),
        tail(store->reads()),
        leading(*store, tail, clock, leading_options(options)),
        blob_index(leading.engine(), store->reads()),
        place(open_blob_place(options, blob_index, store->reads(), clock)),
        serving(leading.engine(), *store, *place.blobs, place.objects, tail, clock,
                serving_options(options, tls.get())),
        import(open_package_import(options, *place.blobs, leading.engine(), store->reads(), clock)) {}

  Fd data_lock;
  SystemClock clock;
  std::unique_ptr<TlsUpkeep> tls;
  std::unique_ptr<store::Store> store;
  events::Tail tail;
  Leading leading;
  StoredBlobIndex blob_index;
  BlobPlace place;
  Serving serving;
  std::unique_ptr<packages::PackageImport> import;  // where there is something to look into

  void start(const HubOptions& options, const std::filesystem::path& token_file);
  void stop(Millis deadline);
};

// What the log told before comes first: names of batches stand in what webhooks and AMQP are told.
void Hub::Parts::start(const HubOptions& options, const std::filesystem::path& token_file) {
  serving.follow(leading.engine());
  leading.load();
  serving.seed(leading.engine());
  leading.start(serving.teller(), *place.blobs, [this, failed = options.on_fatal](const std::string& what) {
    serving.give_up();
    log::event(log::Level::err, "hub gives up: the store failed", {{"error", what}});
    if (failed) failed(what);
  });
  place.settle();
  make_admin_token(token_file, options.new_admin_token, leading.engine(), store->reads());
  try {
    serving.start(leading.sender(), leading.publisher(), import.get());
    if (tls) tls->start();
    if (import) import->start(options.import_every);
  } catch (const http::CannotListen& error) {
    throw CannotStart("serving.http.listen", error.what());
  }
}

void Hub::Parts::stop(Millis deadline) {
  const Millis end = clock.monotonic() + deadline;
  const auto left = [&] { return std::max<Millis>(0, end - clock.monotonic()); };
  serving.give_up();
  if (import) import->stop();
  leading.stop_telling(left() * 2 / 3);
  leading.stop_accepting();
  serving.stop_listening(left());
  leading.stop();
  serving.stop();
}

Hub::Hub(HubOptions options) : options_(std::move(options)) {}

Hub::~Hub() {
  stop(0);
}

std::string Hub::start() {
  if (parts_) return url();
  const SystemClock clock;
  const Millis began = clock.wall();
  const auto place = store_place(options_.store, options_.data_dir);
  if (!place.file.empty()) check_store_is_there(options_.data_dir, place.file, admin_token_file());
  auto parts = std::make_unique<Parts>(options_);
  try {
    parts->start(options_, admin_token_file());
    // Beside the token: whose it is. The command line sends it there and nowhere else.
    std::string own;
    for (const auto& one : parts->serving.urls()) own += one + "\n";
    replace_file(options_.data_dir / "admin.hub", own, 0600);
  } catch (...) {
    parts->stop(0);
    throw;
  }
  parts_ = std::move(parts);
  log::event(log::Level::info, "hub started",
             {{"version", GERES_VERSION},
              {"url", url()},
              {"data", options_.data_dir.string()},
              {"store", place.shown},
              {"ms", clock.wall() - began}});
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
  return parts_ ? parts_->serving.urls().front() : std::string();
}

std::vector<std::string> Hub::urls() const {
  return parts_ ? parts_->serving.urls() : std::vector<std::string>();
}

std::string Hub::ca_pin() const {
  return parts_ && parts_->tls ? parts_->tls->ca_pin() : std::string();
}

std::filesystem::path Hub::ca_file() const {
  return options_.data_dir / "tls" / "ca.pem";
}

void Hub::reload() {
  if (!parts_) return;
  if (parts_->tls) parts_->tls->reload();
  parts_->serving.reread_auth_config();
}

std::string Hub::store() const {
  const auto place = store_place(options_.store, options_.data_dir);
  return place.shown +
         (place.file.empty() ? "  (every answer is in the database)" : "  (SQLite, every answer is on disk)");
}

bool Hub::has_pools() const {
  try {
    return parts_ && !parts_->store->reads().pools().empty();
  } catch (const std::exception&) {
    return false;
  }
}

bool Hub::has_page() const {
  return parts_ && parts_->serving.has_page();
}

Result<void> Hub::reread_auth_config() {
  return parts_ ? parts_->serving.reread_auth_config() : Result<void>();
}

std::string Hub::sign_in_code() {
  const auto secret = parts_ ? read_file_if(admin_token_file()) : std::nullopt;
  return secret ? parts_->serving.sign_in_code(secret->substr(0, secret->find_first_of("\r\n"))) : std::string();
}

std::filesystem::path Hub::admin_token_file() const {
  return options_.data_dir / "admin.token";
}

}  // namespace geres::hub
