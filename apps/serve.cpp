// SPDX-License-Identifier: Apache-2.0
// Order matters here: the host's runner is started before the process has a second thread, signals are held back before
// the first one, and everything stops in the reverse of the order it was started in.
#include "serve.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <boost/describe/enum_from_string.hpp>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <tuple>

#include "base/file.h"
#include "base/log.h"
#include "base/uuid.h"
#include "cli/text.h"
#include "cli/trouble.h"
#include "host/job_host.h"
#include "http/server.h"
#include "hub/hub.h"
#include "metrics/page.h"
#include "model/names.h"
#include "own_limits.h"
#include "rehearse.h"
#include "scaler/http_hub.h"
#include "scaler/local_provider.h"
#include "scaler/policy_helper.h"
#include "scaler/scaler.h"
#include "scaler_child.h"
#include "store.h"

namespace geres::apps {
namespace {

using cli::HostSettings;
using cli::HubSettings;
using cli::LogSettings;
using cli::StopSignals;
using cli::Trouble;

constexpr Millis kHubStop = 1'500;
constexpr Millis kLocalHostsStop = 13'000;  // their drain, and a little

// What went wrong on one of the hub's threads, for the thread that waits.
class Fatal {
 public:
  void set(const std::string& what) {
    const std::lock_guard lock(mutex_);
    if (!what_) what_ = what;
  }
  std::optional<std::string> get() const {
    const std::lock_guard lock(mutex_);
    return what_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<std::string> what_;
};

[[noreturn]] void stop_on(const Error& error) {
  throw Trouble{cli::kFailed, error.message, {}, error.hint, std::string(error_name(error.code)), error.field};
}

host::Options host_options(const HostSettings& settings) {
  host::Options options;
  options.hub_url = settings.hub;
  options.tokens = settings.tokens;
  options.trust = settings.trust;
  if (!settings.join_id.empty()) options.join = host::JoinToken{settings.join_id, settings.join_secret};
  options.renew_secret_every = settings.renew_secret_every;
  options.name = settings.name;
  options.slots = settings.slots;
  options.memory = settings.memory;
  options.labels = settings.labels;
  if (!settings.tenants.empty()) options.tenants = settings.tenants;
  options.data = settings.data;
  options.pool = settings.pool;
  options.instance = settings.instance;
  options.drain_ms = settings.drain;
  options.scratch.bytes = settings.scratch_limit;
  options.processes_max = settings.process_limit;
  options.default_memory = settings.default_memory;
  if (!settings.fence.empty()) options.fence = settings.fence == "on";
  for (const auto& directory : settings.writable) options.writable.push_back(std::filesystem::absolute(directory));
  options.hidden = {std::filesystem::absolute(settings.data).parent_path()};  // tokens, and a hub's store
  options.out_of_memory_ends = settings.out_of_memory_ends;
  const auto programs = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  options.runner_path = programs / "geres-runner";
  options.loader_path = programs / "geres-job";
  make_private_directory(settings.data);
  options.isolation = settings.isolation == "user"   ? host::Isolation::user
                      : settings.isolation == "none" ? host::Isolation::none
                                                     : host::default_isolation();
  options.allow_root = settings.allow_root;
  if (settings.uid_block) options.uid_block = std::uint32_t(*settings.uid_block);
  if (!settings.containment.empty()) {
    options.containment.emplace();
    boost::describe::enum_from_string(settings.containment.c_str(), *options.containment);
    // Named, it means a machine that allows nothing: no namespace around the runner either.
    options.own_pid_namespace = *options.containment != wire::Containment::bestEffort;
  }
  return options;
}

bool is_for_this_machine(const HubSettings::Listen& at) {
  return !at.tls &&
         (at.address == "0.0.0.0" || at.address == "::" || at.address == "::1" || at.address.starts_with("127."));
}

hub::amqp::Options amqp_options(const HubSettings& settings) {
  hub::amqp::Options options;
  options.access = {settings.amqp, settings.amqp_user, settings.amqp_password, settings.amqp_ca};
  options.tokens.issuer = settings.amqp_issuer;
  options.tokens.client_id = settings.amqp_client_id;
  options.tokens.client_secret = settings.amqp_client_secret;
  if (!settings.amqp_scope.empty()) options.tokens.scope = settings.amqp_scope;
  if (!settings.amqp_shared_key.empty()) {
    auto key = hub::amqp::parse_shared_access_key(settings.amqp_shared_key);
    if (!key)
      throw Trouble{cli::kFailed, "the --amqp-shared-key-file holds no connection string: " + key.error().message,
                    {},           "--amqp-shared-key-file FILE, with " + key.error().hint + " on its first line",
                    {},           "--amqp-shared-key-file"};
    options.tokens.shared = std::move(*key);
  }
  options.from_start = settings.amqp_from_start;
  options.tries_max = settings.amqp_tries;
  return options;
}

hub::HubOptions hub_options(const HubSettings& settings, Fatal& fatal) {
  hub::HubOptions options;
  options.data_dir = settings.data;
  options.store = settings.store;
  options.blobs = settings.blobs;
  options.import_layout = settings.import_layout;
  options.blob_cache = std::uint64_t(settings.blob_cache);
  options.serving.logs_rest = settings.logs_rest;
  options.new_admin_token = settings.new_admin_token;
  options.engine.lease = settings.lease;
  auto& serving = options.serving;
  serving.http.listen.clear();
  for (const auto& at : settings.listen) serving.http.listen.push_back({at.address, at.port, at.tls});
  // What runs here comes in clear and by loopback, whatever names the certificate is for.
  const bool here = std::any_of(settings.listen.begin(), settings.listen.end(), is_for_this_machine);
  if (!here) serving.http.listen.push_back({"127.0.0.1", 0, false});
  options.tls.files = {settings.tls_certificate, settings.tls_key, settings.tls_client_ca};
  options.tls.self_signed = settings.tls_self_signed;
  boost::describe::enum_from_string(settings.host_auth.c_str(), serving.host_auth);
  serving.http.connections_max = settings.connections;
  if (settings.client_patience > 0) serving.http.wait_for_clients(settings.client_patience);
  serving.report_every = settings.report_every;
  serving.calls_per_token = settings.calls_per_token;
  serving.calls_per_tenant = settings.calls_per_tenant;
  serving.calls_per_address = settings.calls_per_address;
  serving.cors_origins = settings.cors_origins;
  serving.public_url = settings.public_url;
  serving.auth_config = settings.auth_config;
  serving.metrics_tenants = settings.metrics_tenants;
  options.webhook_allow = settings.webhook_allow;
  options.webhooks.ca_file = settings.webhook_ca;
  options.webhooks.retry_first = settings.webhook_retry;
  options.webhooks.attempts_max = settings.webhook_attempts;
  options.amqp = amqp_options(settings);
  options.on_fatal = [&fatal](const std::string& what) { fatal.set(what); };
  return options;
}

// Every connection is an open file, and a hub holds many thousand. Children keep the usual limit: the host's runner is
// started before.
void allow_many_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) log::warn("the limit of open files stays at its default");
}

// The flag that sets an option of a hub.
std::string flag_of(const std::string& option) {
  static const std::map<std::string, std::string> kFlags = {
      {"store", "--store"},
      {"blobs", "--blobs"},
      {"import_layout", "--import-layout"},
      {"webhook_allow", "--webhook-allow"},
      {"webhooks.ca_file", "--webhook-ca"},
      {"serving.cors_origins", "--cors-origin"},
      {"serving.auth_config", "--auth-config"},
      {"data_dir", "--data"},
      {"amqp.access.url", "--amqp"},
      {"amqp.access.user", "--amqp-user"},
      {"amqp.access.password", "--amqp-password-file"},
      {"amqp.access.ca_file", "--amqp-ca"},
      {"amqp.tokens.issuer", "--amqp-token-issuer"},
      {"amqp.tokens.client_id", "--amqp-client-id"},
      {"amqp.tokens.client_secret", "--amqp-client-secret-file"},
      {"amqp.tokens.scope", "--amqp-token-scope"},
      {"amqp.tokens.shared", "--amqp-shared-key-file"},
      {"tls-cert", "--tls-cert"},
      {"tls-key", "--tls-key"},
      {"tls-client-ca", "--tls-client-ca"},
      {"tls-self-signed", "--tls-self-signed"},
  };
  const auto flag = kFlags.find(option);
  return flag != kFlags.end() ? flag->second : std::string();
}

std::string start(hub::Hub& hub, const HubSettings& settings) {
  allow_many_files();
  try {
    return hub.start();
  } catch (const hub::CannotStart& error) {
    const auto flag = flag_of(error.option);
    std::string hint = "geres doctor";
    if (error.option == "serving.http.listen")
      hint = "--listen 127.0.0.1:" + std::to_string(settings.listen.front().port + 1) +
             " and --data DIR, if another hub is to go on";
    else if (error.option == "data_dir")
      hint = "--data DIR, another one, and --listen ADDRESS:PORT, for a hub beside it";
    else if (!error.hint.empty())
      hint = flag + " " + error.hint;
    // A good value at another time, or in another place.
    const bool good = error.option == "serving.http.listen" || error.option == "data_dir" ||
                      error.option.ends_with("ca_file") || error.option.starts_with("tls-");
    throw Trouble{flag.empty() || good ? cli::kFailed : cli::kUsage,
                  "the hub does not start: " + (flag.empty() ? "" : flag + ": ") + error.what(),
                  {},
                  hint,
                  {},
                  flag};
  } catch (const std::runtime_error& error) {
    throw Trouble{cli::kFailed, "the hub does not start: " + std::string(error.what()), {}, "geres doctor"};
  }
}

// Of a hub that listens everywhere: an address that can be called, from here or (with the machine's name) from others.
std::string callable(std::string url, const std::string& machine = {}) {
  for (const auto& [any, local] : {std::pair("//0.0.0.0:", "//127.0.0.1:"), std::pair("//[::]:", "//[::1]:")})
    if (const auto at = url.find(any); at != std::string::npos)
      url.replace(at, std::string_view(any).size(), machine.empty() ? local : "//" + machine + ":");
  return url;
}

// Where what runs on this machine calls the hub.
std::string local_url(const hub::Hub& hub) {
  for (const auto& url : hub.urls())
    if (const auto here = callable(url); here.starts_with("http://127.") || here.starts_with("http://[::1]"))
      return here;
  return callable(hub.url());
}

std::string token_of(const std::filesystem::path& file) {
  auto token = read_file(file);
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  return token;
}

std::string containment_words(const host::JobHost& host) {
  switch (host.status().runner.containment) {
    case wire::Containment::cgroup2:
      return "jobs contained by cgroup v2";
    case wire::Containment::freezer:
      return "jobs contained by freezer cgroup";
    case wire::Containment::pidns:
      return "jobs contained by PID namespace";
    case wire::Containment::bestEffort:
      break;
  }
  return "jobs contained as well as this machine can (geres doctor)";
}

// What keeps jobs from each other and from the machine, and what does not.
std::string isolation_words(const host::Options& options, const host::JobHost& host) {
  if (options.isolation == host::Isolation::user)
    return "user   each running job is a user of its own; the network is the machine's";
  const auto runner = host.status().runner;
  if (host::fences_jobs(options, runner))
    return "fenced   jobs run as this user, kept to their own files by Landlock (ABI " +
           std::to_string(runner.landlock) + ")";
  if (::geteuid() == 0) return "none   jobs run as root: whoever may submit owns this machine";
  return "none   jobs run as this user: for one trusted person (geres up as root keeps them apart)";
}

std::string machine_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

std::string host_words(const HostSettings& settings, const host::JobHost& host) {
  return (settings.name.empty() ? machine_name() : settings.name) + "   " + cli::plural(settings.slots, "slot") +
         "   " + containment_words(host);
}

bool is_default(const std::filesystem::path& data) {
  try {
    return data == cli::default_data();
  } catch (const cli::Trouble&) {
    return false;  // there is no home directory
  }
}

// A command that works when it is pasted: names what is not where it would be looked for.
std::string where_words(const HubSettings& settings, const std::string& url) {
  std::string words;
  if (url != "http://127.0.0.1:8080") words += "GERES_HUB=" + url + " ";
  if (!is_default(settings.data)) words += "GERES_DATA=" + cli::shell_quoted(settings.data.string()) + " ";
  return words;
}

// With a code that signs a browser in, where the admin's token is here.
std::string page_words(hub::Hub& hub, const std::string& url, const HubSettings& settings, bool signs_in) {
  const auto& own = settings.public_url;
  const auto page = own.origin.empty() ? url + "/" : own.origin + own.base();
  const auto code = signs_in ? hub.sign_in_code() : std::string();
  return code.empty() ? page : page + "#login=" + code + "   signs you in, once, within a minute (geres web: again)";
}

std::vector<std::pair<std::string, std::string>> hub_rows(const hub::Hub& hub, const std::string& url,
                                                          const HubSettings& settings) {
  std::vector<std::pair<std::string, std::string>> rows{
      {"API", url + "      token in " + cli::home_short(hub.admin_token_file().string()) + " (used by itself)"}};
  const auto all = hub.urls();
  for (std::size_t i = 1; i < std::min(all.size(), settings.listen.size()); ++i) rows.emplace_back("", all[i]);
  if (const auto pin = hub.ca_pin(); !pin.empty()) {
    rows.emplace_back("CA", pin + "   clients: --ca-pin or GERES_CA_PIN");
    rows.emplace_back("", cli::home_short(hub.ca_file().string()) + "   or this file: --ca, curl --cacert");
  }
  const std::vector<std::pair<std::string, std::string>> more{{"Metrics", url + "/metrics"},
                                                              {"Store", cli::home_short(hub.store())}};
  rows.insert(rows.end(), more.begin(), more.end());
  if (!settings.amqp.empty()) rows.emplace_back("Events", "published to " + settings.amqp);
  return rows;
}

// Waits in a thread of its own for the host's end, so that this one can go on hearing signals.
class HostEnd {
 public:
  explicit HostEnd(host::JobHost& host)
      : host_(host), thread_([this] {
          result_ = host_.wait();
          ended_ = true;
        }) {}
  ~HostEnd() {
    host_.request_stop(0);
    if (thread_.joinable()) thread_.join();
  }
  bool ended() const { return ended_; }
  // Gives the jobs `drain` to end; another signal hastens.
  Result<void> stop(StopSignals& signals, Millis drain) {
    host_.request_stop(drain);
    while (!ended_)
      if (signals.wait(100)) host_.request_stop(0);
    thread_.join();
    return result_;
  }

 private:
  host::JobHost& host_;
  Result<void> result_;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

void wait_until_connected(const host::JobHost& host, const HostEnd& end, StopSignals& signals, bool& stopped,
                          Millis most) {
  const SystemClock clock;
  const auto until = clock.monotonic() + most;
  while (!stopped && !end.ended() && !host.status().connected && clock.monotonic() < until) stopped = signals.wait(20);
}

int finish(const Fatal& fatal) {
  const auto what = fatal.get();
  if (!what) return cli::kDone;
  throw Trouble{cli::kFailed,
                "the hub has stopped: " + *what,
                {},
                "look at the disk, then start it again: what was acknowledged is safe"};
}

// Makes the pool that was asked for, and the scaler that serves whatever pools there are.
std::unique_ptr<ScalerChild> bring_scaler(const hub::Hub& hub, const std::string& url, const HubSettings& settings,
                                          const LogSettings& logging) {
  if (settings.pool) {
    const auto token = read_file_if(hub.admin_token_file()) ? token_of(hub.admin_token_file()) : std::string();
    if (token.empty())
      throw Trouble{cli::kFailed,
                    "--pool needs the admin token, which is not here",
                    hub.admin_token_file().string() + " is missing",
                    "geres scaler pool set here, with a token of yours",
                    {},
                    "--pool"};
    set_local_pool(url, token, settings.pool->first, settings.pool->second);
  }
  if (!settings.scaler) return nullptr;
  return std::make_unique<ScalerChild>(ScalerChild::Options{url, hub.admin_token_file(), settings.data, logging.level,
                                                            [&hub] { return hub.has_pools(); }});
}

void add_pool_row(std::vector<std::pair<std::string, std::string>>& rows, const HubSettings& settings) {
  if (settings.pool)
    rows.emplace_back("Pool", "here   " + std::to_string(settings.pool->first) + " to " +
                                  cli::plural(settings.pool->second, "host") +
                                  " of this machine, as there is work      geres scaler");
}

// Those of pools, which would otherwise go on. They get the time that a host takes to let its jobs end or go back to
// the hub; another signal hastens.
void end_local_hosts(const std::filesystem::path& data, StopSignals& signals, Millis time) {
  auto hosts = scaler::local_hosts(data);
  const auto tell = [&](int signal) {
    for (const auto& host : hosts)
      if (const Fd handle = open_process(host)) ::syscall(SYS_pidfd_send_signal, handle.get(), signal, nullptr, 0);
  };
  const SystemClock clock;
  const auto until = clock.monotonic() + time;
  tell(SIGTERM);
  while (!hosts.empty() && clock.monotonic() < until) {
    if (signals.wait(50)) tell(SIGTERM);
    std::erase_if(hosts, [](const auto& host) { return !is_alive(host); });
  }
  tell(SIGKILL);
}

int run_hub(const HubSettings& settings, const LogSettings& logging) {
  take_own_limits(0);
  hub::Hub* running = nullptr;
  StopSignals signals;
  signals.on_hangup([&] {
    if (running != nullptr) running->reload();
  });
  log::start("hub", log::Format::automatic, logging.level);
  Fatal fatal;
  auto options = hub_options(settings, fatal);
  options.stopping = [&signals] { return signals.wait(0); };
  hub::Hub hub(std::move(options));
  const auto url = start(hub, settings);
  running = &hub;
  auto rows = hub_rows(hub, url, settings);
  if (hub.has_page()) rows.emplace(rows.begin(), "Page", page_words(hub, callable(url), settings, false));
  rows.emplace_back("Next", where_words(settings, callable(url)) + "geres hosts invite --url " +
                                callable(url, machine_name()) + "   says how another machine joins");
  const auto scaler = bring_scaler(hub, local_url(hub), settings, logging);
  add_pool_row(rows, settings);
  if (!logging.quiet) cli::print_block("a hub", rows, "Ctrl-C stops it; hosts go on and come back.");
  while (!signals.wait(200) && !fatal.get())
    if (scaler) scaler->look();
  if (scaler) scaler->stop();
  hub.stop(kHubStop);
  return finish(fatal);
}

// Tenants' users must get to what is theirs below it; its names stay hidden. Left alone if it holds anything else.
void open_to_tenants(const std::filesystem::path& directory) {
  for (const auto& item : std::filesystem::directory_iterator(directory))
    if (item.path().filename() != "host") return;
  ::chmod(directory.c_str(), 0711);
}

// Figures of a host, to anybody who can connect: they name no tenant and no job.
std::unique_ptr<http::Server> serve_figures(const HostSettings& settings, const host::JobHost& host) {
  if (!settings.metrics) return nullptr;
  http::Router router;
  router.add(http::Method::get, "/metrics", [&host](http::Request&) -> http::awaitable<http::Response> {
    co_return http::text_response(200, metrics::kContentType, host.metrics());
  });
  http::Options options;
  auto& at = options.listen.front();
  std::tie(at.address, at.port) = *settings.metrics;
  options.connections_max = 64;
  auto server = std::make_unique<http::Server>(options, std::move(router));
  try {
    server->start();
  } catch (const std::system_error& trouble) {
    throw Trouble{cli::kFailed,
                  "cannot listen on " + at.address + ":" + std::to_string(at.port),
                  trouble.code().message(),
                  "another address: --metrics 127.0.0.1:0 takes any port",
                  {},
                  "--metrics"};
  }
  return server;
}

// What the host was told goes before what its data directory knows of an earlier start.
// One that cannot be had just now is one.
bool has_token(const HostSettings& settings) {
  if (!settings.tokens) return false;
  const auto token = settings.tokens->token();
  return !token || !token->empty();
}

HostSettings with_kept_secret(HostSettings settings) {
  // A host that shows a certificate is called what that says.
  if (settings.name.empty() && !settings.trust.certificate.empty())
    if (const auto shown = tls::read_certificates(settings.trust.certificate); shown)
      if (const auto name = tls::host_named(shown->front()); model::is_name(name)) settings.name = name;
  const bool joins = !settings.join_id.empty();
  const auto kept = host::kept_secret(settings.data);
  if (!kept && !joins) stop_on(kept.error());
  const auto* own = kept && *kept && !(*kept)->secret.empty() ? &**kept : nullptr;
  if (own != nullptr && (settings.hub.empty() || settings.hub == own->hub)) {
    settings.hub = own->hub;
    if (settings.trust.ca_file.empty() && settings.trust.pin.empty()) settings.trust.pin = own->ca_pin;
    if (settings.name.empty()) settings.name = own->name;
    if (settings.name == own->name || joins) return settings;
    throw Trouble{cli::kUsage,
                  "this host has joined as '" + own->name + "', not as '" + settings.name + "'",
                  "its secret is for that name",
                  "leave --name out, or join anew: geres hosts invite --name " + settings.name,
                  {},
                  "--name"};
  }
  if (settings.hub.empty()) settings.hub = settings.default_hub;
  if (joins || has_token(settings) || !settings.trust.certificate.empty()) return settings;
  if (own != nullptr)
    throw Trouble{cli::kUsage,
                  "the data directory " + settings.data.string() + " belongs to a host of the hub " + own->hub +
                      ", not of " + settings.hub,
                  {},
                  "another --data, or a join string of that hub (geres hosts invite)",
                  {},
                  "--hub"};
  throw Trouble{cli::kNotAllowed, "a host needs a join string the first time",
                "none is given, no secret of an earlier start is in " + settings.data.string() +
                    ", and of tokens none was left here for " + settings.hub,
                "on the hub's machine: geres hosts invite, then here geres host --join STRING; or, for a token that "
                "many hosts may use: geres token create NAME --role host, then here GERES_TOKEN=TOKEN",
                "unauthenticated"};
}

int run_host(const HostSettings& given, const LogSettings& logging) {
  const auto settings = with_kept_secret(given);
  take_own_limits(settings.slots);
  const auto options = host_options(settings);
  if (options.isolation == host::Isolation::user) open_to_tenants(settings.data.parent_path());
  auto prepared = host::JobHost::prepare(options);
  if (!prepared) stop_on(prepared.error());
  StopSignals signals;
  log::start("host", log::Format::automatic, logging.level);
  host::JobHost host(options, std::move(*prepared));
  const auto figures = serve_figures(settings, host);
  host.start();
  HostEnd end(host);
  bool stopped = false;
  wait_until_connected(host, end, signals, stopped, 3'000);
  std::vector<std::pair<std::string, std::string>> rows{
      {"Hub", settings.hub + (host.status().connected ? "" : "   not reached yet; trying on")},
      {"Host", host_words(settings, host)},
      {"Isolation", isolation_words(options, host)},
      {"Data", cli::home_short(settings.data.string())}};
  if (figures) rows.emplace_back("Metrics", figures->url() + "/metrics");
  if (!logging.quiet && !end.ended())
    cli::print_block("a host", rows, "Ctrl-C drains and stops; a second one hastens.");
  while (!stopped && !end.ended()) stopped = signals.wait(200);
  const auto result = end.stop(signals, settings.drain);
  if (!result) stop_on(result.error());
  return cli::kDone;
}

void try_host(const std::filesystem::path& directory, int slots) {
  take_own_limits(slots);
  HostSettings settings;
  settings.data = directory / (".geres-doctor-" + random_hex(8)) / "host";
  settings.slots = slots;
  std::filesystem::create_directory(settings.data.parent_path());
  auto prepared = host::JobHost::prepare(host_options(settings));
  const auto error = prepared ? std::nullopt : std::optional(prepared.error());
  if (prepared) prepared->runner->close();
  remove_tree(settings.data.parent_path());
  if (error) stop_on(*error);
}

int run_scaler(const cli::ScalerSettings& settings, const LogSettings& logging) {
  const auto holder = bound_to_parent();
  StopSignals signals;
  log::start("scaler", log::Format::automatic, logging.level);
  const auto program = std::filesystem::read_symlink("/proc/self/exe");
  const scaler::Join join{settings.hub, settings.trust, settings.data, program.string()};
  const SystemClock clock;
  std::atomic<bool> stop = false;
  scaler::HttpHub hub({settings.hub, settings.trust, {}, settings.tokens}, stop);
  scaler::Scaler::Options options;
  options.holder = holder ? *holder : machine_name() + ":" + std::to_string(::getpid()) + ":" + random_hex(4);
  options.make_decider = [&](const scaler::Pool& pool) {
    return scaler::make_decider(pool, program.parent_path() / "geres-policy", clock);
  };
  options.make_provider = [&](const scaler::Pool& pool) { return scaler::make_provider(pool, join); };
  scaler::Scaler scaler(std::move(options), hub, clock, stop);
  scaler.start();
  if (!logging.quiet)
    cli::print_block("a scaler", {{"Hub", settings.hub}, {"Data", cli::home_short(settings.data.string())}},
                     "Ctrl-C stops it; hosts that it started go on.");
  while (!signals.wait(3'600'000)) {
  }
  scaler.stop();
  return cli::kDone;
}

int run_up(const HubSettings& hub_settings, const HostSettings& host_settings, const LogSettings& logging) {
  take_own_limits(host_settings.slots);
  auto options = host_options(host_settings);
  for (const auto& [place, kind] : {std::pair(hub_settings.store, "sqlite:"), std::pair(hub_settings.blobs, "dir:")})
    if (place.starts_with(kind))
      for (const char* end : {"", "-wal", "-shm"})
        options.hidden.push_back(std::filesystem::absolute(place.substr(std::string_view(kind).size()) + end));
  auto prepared = host::JobHost::prepare(options);
  if (!prepared) {
    auto error = prepared.error();
    if (error.message.starts_with("another host uses"))
      error.hint = "it is up already: geres status. For a second one: --data DIR --listen 127.0.0.1:" +
                   std::to_string(hub_settings.listen.front().port + 1);
    stop_on(error);
  }
  StopSignals signals;
  hub::Hub* running = nullptr;
  signals.on_hangup([&] {
    if (running != nullptr) running->reload();
  });
  log::start("geres", log::Format::automatic, logging.level);
  Fatal fatal;
  auto own_hub = hub_options(hub_settings, fatal);
  own_hub.new_admin_token = true;  // the host needs it
  own_hub.stopping = [&signals] { return signals.wait(0); };
  own_hub.serving.default_tenant = "default";
  hub::Hub hub(std::move(own_hub));
  const auto url = callable(start(hub, hub_settings));
  options.hub_url = local_url(hub);
  running = &hub;
  options.token = token_of(hub.admin_token_file());
  host::JobHost host(options, std::move(*prepared));
  host.start();
  Result<void> result;
  {
    HostEnd end(host);
    bool stopped = false;
    wait_until_connected(host, end, signals, stopped, 5'000);
    auto rows = hub_rows(hub, url, hub_settings);
    if (hub.has_page()) rows.emplace(rows.begin(), "Page", page_words(hub, url, hub_settings, true));
    rows.emplace_back("Host", host_words(host_settings, host));
    rows.emplace_back("Isolation", isolation_words(options, host));
    const auto scaler = bring_scaler(hub, local_url(hub), hub_settings, logging);
    add_pool_row(rows, hub_settings);
    rows.emplace_back("Next", where_words(hub_settings, url) + "geres run echo hello");
    if (!logging.quiet && !end.ended())
      cli::print_block("everything on this machine", rows, "Ctrl-C drains and stops.");
    while (!stopped && !end.ended() && !fatal.get()) {
      stopped = signals.wait(200);
      if (scaler) scaler->look();
    }
    // Before the hosts, so that it makes no new ones.
    if (scaler) scaler->stop();
    if (scaler) {
      host.request_stop(fatal.get() ? 0 : host_settings.drain);  // all at once
      end_local_hosts(hub_settings.data, signals, fatal.get() ? 0 : kLocalHostsStop);
    }
    result = end.stop(signals, fatal.get() ? 0 : host_settings.drain);
  }
  hub.stop(kHubStop);
  if (!result) stop_on(result.error());
  return finish(fatal);
}

// A thread that cannot be had, now that the limits have been looked at: others of this user, or of its cgroup, have
// taken what there was.
template <class... A>
std::function<int(const A&...)> without_room_said(int (*serve)(const A&...)) {
  return [serve](const A&... settings) {
    try {
      return serve(settings...);
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::resource_unavailable_try_again) throw;
      throw Trouble{cli::kFailed, "no more threads can be had here",
                    "this user, or the cgroup or container around this process, has as many as it may",
                    "ulimit -u, or TasksMax= in the unit"};
    }
  };
}

}  // namespace

cli::Services services() {
  return {without_room_said(run_hub),
          without_room_said(run_host),
          without_room_said(run_up),
          try_host,
          check_store,
          backup_store,
          restore_store,
          backup_all,
          restore_all,
          copy_blobs,
          run_scaler,
          rehearse};
}

}  // namespace geres::apps
