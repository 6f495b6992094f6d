// SPDX-License-Identifier: Apache-2.0
// The commands that run until they are told to stop: up, hub, host and scaler run.
#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <system_error>
#include <thread>

#include "base/duration.h"
#include "base/file.h"
#include "base/origin.h"
#include "cli/context.h"
#include "cli/serve.h"
#include "model/names.h"
#include "wire/api/join_string.h"

namespace geres::cli {

int machine_slots() {
  return std::max(1, int(std::thread::hardware_concurrency()));
}

namespace {

std::filesystem::path data_of(Context& context) {
  const std::filesystem::path data = context.value_or("data", "");
  const auto directory = data.empty() ? data_directory() : std::filesystem::absolute(data).lexically_normal();
  try {
    make_private_directory(directory);
  } catch (const std::system_error& error) {
    cannot("the data directory '" + directory.string() + "' cannot be made", error.code().message(),
           "--data DIR, one of your own", "--data");
  }
  if (::access(directory.c_str(), W_OK) != 0)
    cannot("the data directory '" + directory.string() + "' cannot be written", std::generic_category().message(errno),
           "--data DIR, one of your own", "--data");
  return directory;
}

// `flag`: listen or metrics. A port without an address means this machine only.
std::pair<std::string, std::uint16_t> listen_of(const std::string& flag, const std::string& text) {
  const auto wrong = [&](const std::string& why) {
    usage_error("--" + flag + " '" + text + "' is not an address to listen on", why,
                "--" + flag + " 127.0.0.1:8080 (0.0.0.0:8080 for other machines, [::1]:8080, port 0 for any)",
                "--" + flag);
  };
  const auto colon = text.rfind(':');
  std::string address = colon == std::string::npos ? "127.0.0.1" : text.substr(0, colon);
  const std::string port_text = colon == std::string::npos ? text : text.substr(colon + 1);
  if (address.empty()) address = "0.0.0.0";
  if (address == "localhost") address = "127.0.0.1";
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  if (port_text.empty() || port_text.find_first_not_of("0123456789") != std::string::npos || port_text.size() > 5 ||
      std::stoi(port_text) > 65'535)
    wrong("'" + port_text + "' is not a port");
  unsigned char raw[16];
  if (::inet_pton(AF_INET, address.c_str(), raw) != 1 && ::inet_pton(AF_INET6, address.c_str(), raw) != 1)
    wrong("'" + address + "' is not a numeric address");
  return {address, std::uint16_t(std::stoi(port_text))};
}

HubSettings::Listen hub_listen_of(const std::string& text) {
  HubSettings::Listen at;
  std::string_view rest = text;
  for (const auto& [scheme, tls] : {std::pair<std::string_view, bool>("https://", true), {"http://", false}})
    if (rest.starts_with(scheme)) rest.remove_prefix(scheme.size()), at.tls = tls;
  while (rest.ends_with('/')) rest.remove_suffix(1);
  std::tie(at.address, at.port) = listen_of("listen", std::string(rest));
  return at;
}

bool on_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1";
}

void read_listening(Context& context, HubSettings& settings) {
  auto all = context.values("listen");
  if (const auto other = context.value("listen"); all.empty() && other) all.push_back(*other);  // the environment's
  if (!all.empty()) settings.listen.clear();
  for (const auto& text : all) settings.listen.push_back(hub_listen_of(text));
  settings.tls_certificate = context.value_or("tls-cert", "");
  settings.tls_key = context.value_or("tls-key", "");
  settings.tls_self_signed = context.has("tls-self-signed");
  settings.tls_client_ca = context.value_or("tls-client-ca", "");
  settings.host_auth = context.value_or("host-auth", settings.tls_client_ca.empty() ? "secret" : "both");
  if (settings.host_auth != "secret" && settings.tls_client_ca.empty())
    usage_error("--host-auth " + settings.host_auth + " needs the authorities of the hosts' certificates", {},
                "--tls-client-ca FILE", "--host-auth");
  const bool tls = std::any_of(settings.listen.begin(), settings.listen.end(), [](const auto& at) { return at.tls; });
  if (settings.tls_certificate.empty() != settings.tls_key.empty())
    usage_error("--tls-cert and --tls-key belong together", "a certificate is of no use without its key",
                "--tls-cert FILE --tls-key FILE, both in PEM", settings.tls_key.empty() ? "--tls-key" : "--tls-cert");
  if (settings.tls_self_signed && !settings.tls_certificate.empty())
    usage_error("--tls-self-signed and --tls-cert do not go together", "one is for those who have no certificate",
                "leave out --tls-self-signed", "--tls-self-signed");
  const bool has_certificate = settings.tls_self_signed || !settings.tls_certificate.empty();
  if (tls && !has_certificate)
    usage_error("--listen https://… needs a certificate", {},
                "--tls-self-signed, for one of the hub's own; or --tls-cert FILE --tls-key FILE", "--listen");
  if (!tls && !settings.tls_client_ca.empty())
    usage_error("--tls-client-ca is given, but nothing listens with TLS", {}, "--listen https://0.0.0.0:8443",
                "--tls-client-ca");
  if (!tls && has_certificate)
    usage_error("there is a certificate, but nothing listens with TLS", {}, "--listen https://0.0.0.0:8443",
                "--listen");
  for (const auto& at : settings.listen)
    if (!at.tls && !on_loopback(at.address) && !context.has("plain-http"))
      usage_error(
          "--listen " + at.address + ":" + std::to_string(at.port) + " would send tokens over the network in clear",
          "plain HTTP is for this machine itself",
          "--listen https://" + at.address + ":" + std::to_string(at.port) +
              " --tls-self-signed; or --plain-http, where a proxy or the network keeps others out",
          "--plain-http");
}

constexpr Millis kLeaseMin = 2'000, kLeaseMax = 24 * 3'600'000;
constexpr Millis kReportEveryMin = 200, kReportEveryMax = 15'000;

void read_times(Context& context, HubSettings& settings) {
  if (const auto text = context.value("lease")) settings.lease = *parse_duration(*text);
  if (settings.lease < kLeaseMin || settings.lease > kLeaseMax)
    usage_error("--lease is 2s to 24h", "how long a host may be silent before its jobs are given to others",
                "--lease 30s", "--lease");
  const auto text = context.value("report-every");
  if (!text) return;
  settings.report_every = *parse_duration(*text);
  const Millis most = std::min(kReportEveryMax, settings.lease / 3);
  if (settings.report_every < kReportEveryMin || settings.report_every > most)
    usage_error("--report-every is 200ms to 15s, and at most a third of the lease",
                "with --lease " + format_duration(settings.lease) + ": at most " + format_duration(most),
                "leave it out: hosts then report every 5s, or four times in a shorter lease", "--report-every");
}

// Calls per second; 0: no limit.
double rate_of(Context& context, const std::string& flag) {
  const auto rate = context.integer(flag);
  if (rate && (*rate < 1 || *rate > 1'000'000))
    usage_error("--" + flag + " is 1 to 1000000", "calls a second in the long run", "leave it out for no limit",
                "--" + flag);
  return double(rate.value_or(0));
}

void read_webhooks(Context& context, HubSettings& settings) {
  settings.webhook_allow = context.values("webhook-allow");
  settings.webhook_ca = context.value_or("webhook-ca", "");
  if (!settings.webhook_ca.empty() && ::access(settings.webhook_ca.c_str(), R_OK) != 0)
    cannot("the file '" + settings.webhook_ca + "' cannot be read", std::generic_category().message(errno),
           "--webhook-ca FILE, with certificates in PEM", "--webhook-ca");
  if (const auto text = context.value("webhook-retry")) settings.webhook_retry = *parse_duration(*text);
  if (settings.webhook_retry < 10 || settings.webhook_retry > 3'600'000)
    usage_error("--webhook-retry is 10ms to 1h", "the pause before an event is told again; it grows with each attempt",
                "--webhook-retry 10s", "--webhook-retry");
  const auto attempts = context.integer("webhook-attempts").value_or(settings.webhook_attempts);
  if (attempts < 1 || attempts > 100)
    usage_error("--webhook-attempts is 1 to 100", {}, "--webhook-attempts 12", "--webhook-attempts");
  settings.webhook_attempts = int(attempts);
}

std::vector<std::string> cors_origins(Context& context) {
  auto origins = context.values("cors-origin");
  for (const auto& origin : origins)
    if (const auto ok = check_origin(origin); !ok)
      usage_error("--cors-origin '" + origin + "' is not an origin", ok.error().message,
                  "--cors-origin https://app.example, as the browser's address bar has it, up to the port",
                  "--cors-origin");
  return origins;
}

PublicUrl public_url(Context& context) {
  const auto text = context.value("public-url");
  if (!text) return {};
  const auto url = parse_public_url(*text);
  if (!url)
    usage_error("--public-url '" + *text + "' is not where browsers could find a hub", url.error().message,
                "--public-url https://jobs.example.com, or https://example.com/ops/geres/ behind a proxy",
                "--public-url");
  return *url;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find_first_of("\r\n"));
}

// A secret's first line; empty without the flag.
std::string secret_line(Context& context, const std::string& flag) {
  const auto file = context.value(flag);
  if (!file) return {};
  const auto example = "--" + flag + " FILE, with it on its first line";
  std::string text;
  try {
    text = first_line(read_file(*file));
  } catch (const std::system_error& error) {
    cannot("the --" + flag + " '" + *file + "' cannot be read", error.code().message(), example, "--" + flag);
  }
  if (text.empty()) cannot("the --" + flag + " '" + *file + "' is empty", {}, example, "--" + flag);
  return text;
}

// From a file or the environment, because all users of the machine can read a command line.
std::string amqp_password(Context& context) {
  if (context.value("amqp-password-file")) return secret_line(context, "amqp-password-file");
  const char* given = std::getenv("GERES_AMQP_PASSWORD");
  return given == nullptr ? "" : given;
}

void read_amqp(Context& context, HubSettings& settings) {
  settings.amqp = context.value_or("amqp", "");
  if (settings.amqp.empty()) {
    for (const auto* flag :
         {"amqp-user", "amqp-password-file", "amqp-ca", "amqp-token-issuer", "amqp-client-id",
          "amqp-client-secret-file", "amqp-token-scope", "amqp-shared-key-file", "amqp-from", "amqp-tries"})
      if (context.has(flag))
        usage_error("--" + std::string(flag) + " is given, but no --amqp", "it says where events are published to",
                    "--amqp amqps://broker.example.com/events", "--" + std::string(flag));
    return;
  }
  settings.amqp_user = context.value_or("amqp-user", "");
  settings.amqp_password = amqp_password(context);
  settings.amqp_ca = context.value_or("amqp-ca", "");
  settings.amqp_issuer = context.value_or("amqp-token-issuer", "");
  settings.amqp_client_id = context.value_or("amqp-client-id", "");
  settings.amqp_client_secret = secret_line(context, "amqp-client-secret-file");
  settings.amqp_scope = context.value_or("amqp-token-scope", "");
  settings.amqp_shared_key = secret_line(context, "amqp-shared-key-file");
  settings.amqp_from_start = context.value_or("amqp-from", "now") == "start";
  const auto tries = context.integer("amqp-tries").value_or(0);
  if (tries < 0 || tries > 1'000'000)
    usage_error("--amqp-tries does not fit", "0 (a rejected event is sent until it is accepted) to 1000000",
                "--amqp-tries 10", "--amqp-tries");
  settings.amqp_tries = int(tries);
}

constexpr int kLocalHostsMax = 1'000;

// "0..4", or "4" for always so many.
std::pair<int, int> pool_of(const std::string& text) {
  const auto number = [&](std::string_view digits) {
    int n = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || n < 0 || n > kLocalHostsMax)
      usage_error("--pool '" + text + "' does not say how many hosts",
                  "two numbers from 0 to 1000, at least and at most", "--pool 0.." + std::to_string(machine_slots()),
                  "--pool");
    return n;
  };
  const auto dots = text.find("..");
  if (dots == std::string::npos) return {number(text), number(text)};
  const std::pair range(number(std::string_view(text).substr(0, dots)),
                        number(std::string_view(text).substr(dots + 2)));
  if (range.first > range.second)
    usage_error("--pool '" + text + "' begins above its end", "the first number is the least, the second the most",
                "--pool " + std::to_string(range.second) + ".." + std::to_string(range.first), "--pool");
  return range;
}

void read_scaling(Context& context, HubSettings& settings) {
  settings.scaler = !context.has("no-scaler");
  const auto pool = context.value("pool");
  if (!pool) return;
  settings.pool = pool_of(*pool);
  if (!settings.scaler)
    usage_error("--pool and --no-scaler do not go together", "without a scaler nobody makes the pool's hosts",
                "leave out --no-scaler", "--no-scaler");
}

HubSettings hub_settings(Context& context) {
  HubSettings settings;
  read_listening(context, settings);
  settings.store = context.value_or("store", "");
  const bool postgres = settings.store.starts_with("postgres://") || settings.store.starts_with("postgresql://");
  if (!settings.store.empty() && !postgres && !settings.store.starts_with("sqlite:"))
    usage_error("--store '" + settings.store + "' is not a store", {},
                "--store sqlite:FILE or postgresql://USER@HOST/DATABASE", "--store");
  settings.blobs = context.value_or("blobs", "");
  const auto kind = settings.blobs.substr(0, settings.blobs.find(':'));
  if (!settings.blobs.empty() && (kind == settings.blobs || (kind != "dir" && kind != "s3" && kind != "azure")))
    usage_error("--blobs '" + settings.blobs + "' is not a place for blobs", {},
                "--blobs dir:DIRECTORY, s3:BUCKET[/PREFIX] or azure:ACCOUNT/CONTAINER[/PREFIX]", "--blobs");
  if (const auto cache = context.value("blob-cache")) settings.blob_cache = *parse_size(*cache);
  if (const auto rest = context.value("logs-rest")) settings.logs_rest = *parse_duration(*rest);
  settings.import_layout = context.value_or("import-layout", "");
  const auto connections = context.integer("connections").value_or(std::int64_t(settings.connections));
  if (connections < 10 || connections > 1'000'000)
    usage_error("--connections does not fit", "a number from 10 to 1000000", "--connections 20000", "--connections");
  settings.connections = std::size_t(connections);
  settings.client_patience = *parse_duration(context.value_or("client-patience", "0s"));
  if (settings.client_patience != 0 && (settings.client_patience < 100 || settings.client_patience > 600'000))
    usage_error("--client-patience does not fit", "from 100ms to 10m", "--client-patience 30s", "--client-patience");
  settings.cors_origins = cors_origins(context);
  settings.public_url = public_url(context);
  settings.auth_config = context.value_or("auth-config", "");
  settings.new_admin_token = context.has("new-admin-token");
  settings.calls_per_token = rate_of(context, "calls-per-token");
  settings.calls_per_tenant = rate_of(context, "calls-per-tenant");
  settings.calls_per_address = rate_of(context, "calls-per-address");
  const auto tenants = context.integer("metrics-tenants").value_or(std::int64_t(settings.metrics_tenants));
  if (tenants < 0 || tenants > 100)
    usage_error("--metrics-tenants is 0 to 100", "each is some eight series at /metrics", "--metrics-tenants 20",
                "--metrics-tenants");
  settings.metrics_tenants = std::size_t(tenants);
  read_times(context, settings);
  read_webhooks(context, settings);
  read_amqp(context, settings);
  read_scaling(context, settings);
  settings.data = data_of(context);
  return settings;
}

HostSettings host_settings(Context& context) {
  HostSettings settings;
  settings.name = context.value_or("name", "");
  if (!settings.name.empty() && !model::is_name(settings.name))
    usage_error("--name '" + settings.name + "' is not a host name", "letters, digits, '.', '_' and '-', at most 63",
                "--name worker-1", "--name");
  const auto slots = context.integer("slots").value_or(machine_slots());
  if (slots < 1 || slots > 10'000)
    usage_error("--slots is 1 to 10000", {}, "--slots " + std::to_string(machine_slots()), "--slots");
  settings.slots = int(slots);
  if (const auto memory = context.value("memory")) settings.memory = *parse_size(*memory);
  for (const auto& label : context.values("label"))
    settings.labels.insert_or_assign(pair_of(label).first, pair_of(label).second);
  settings.tenants = context.values("tenant");
  settings.drain = *parse_duration(context.value_or("drain", "10s"));
  settings.isolation = context.value_or("isolation", "");
  settings.allow_root = context.has("allow-root");
  if (settings.allow_root && settings.isolation != "none")
    usage_error("--allow-root is for jobs that run as root",
                "with --isolation user none does, and that is root's default", "--isolation none --allow-root",
                "--allow-root");
  settings.uid_block = context.integer("uid-block");
  if (settings.uid_block && (*settings.uid_block < 0 || *settings.uid_block > UINT32_MAX))
    usage_error("--uid-block does not fit", "a multiple of 65536 from 524288 to 1878982656", "--uid-block 524288",
                "--uid-block");
  if (const auto limit = context.value("scratch-limit")) settings.scratch_limit = *parse_size(*limit);
  settings.process_limit = context.integer("process-limit").value_or(settings.process_limit);
  if (const auto memory = context.value("default-memory")) settings.default_memory = *parse_size(*memory);
  settings.out_of_memory_ends = context.value_or("oom-policy", "end") == "end";
  settings.fence = context.value_or("fence", "");
  settings.writable = context.values("writable");
  settings.containment = context.value_or("containment", "");
  if (settings.isolation == "sandbox")
    usage_error("--isolation sandbox is not available yet in this version", {}, "--isolation user or none",
                "--isolation");
  return settings;
}

LogSettings log_settings(Context& context) {
  // A terminal shows the block, which is enough; a service's log should have more.
  return {context.value_or("log", context.output.look.err_terminal ? "warn" : "info"), context.output.look.quiet};
}

[[noreturn]] void not_wired() {
  throw Trouble{kUsage, "this program was built without hub and host"};
}

int up(Context& context) {
  const auto host = host_settings(context);
  const auto hub = hub_settings(context);
  if (!context.services.up) not_wired();
  auto placed = host;
  placed.data = hub.data / "host";
  return context.services.up(hub, placed, log_settings(context));
}

int hub(Context& context) {
  const auto settings = hub_settings(context);
  if (!context.services.hub) not_wired();
  return context.services.hub(settings, log_settings(context));
}

// From the flag, a file or the environment. A file is better where others can read command lines.
std::optional<wire::JoinString> join_of(Context& context) {
  auto text = context.value("join");
  const char* flag = "--join";
  if (const auto file = context.value("join-file")) {
    if (context.words.has("join"))
      usage_error("--join and --join-file are both given", {}, "one of them", "--join-file");
    flag = "--join-file";
    try {
      text = read_file(*file);
    } catch (const std::system_error& error) {
      cannot("the --join-file '" + *file + "' cannot be read", error.code().message(),
             "--join-file FILE, with what 'geres hosts invite' printed", flag);
    }
  }
  if (!text) return std::nullopt;
  auto join = wire::parse_join_string(*text);
  if (!join) usage_error(join.error().message, {}, join.error().hint, flag);
  return *join;
}

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

void read_membership(Context& context, HostSettings& settings) {
  const auto join = join_of(context);
  const bool named = context.hub_source() != "the default";
  if (named) settings.hub = without_slash(context.called_hub());
  settings.default_hub = without_slash(context.called_hub());
  settings.trust = context.trust();
  if (!join) {
    settings.tokens = context.hub().transport().options().tokens;
    return;
  }
  if (named && settings.hub != join->hub)
    usage_error(
        "the join string is for the hub " + join->hub + ", but " + context.hub_source() + " names " + settings.hub, {},
        "leave the hub out: the string names it", "--hub");
  settings.hub = join->hub;
  const bool chosen = context.value("ca") || context.value("ca-pin") || context.words.has("ca-file");
  if (!chosen && !join->ca_pin.empty()) settings.trust.ca_file.clear(), settings.trust.pin = join->ca_pin;
  settings.join_id = join->id;
  settings.join_secret = join->secret;
}

int host(Context& context) {
  auto settings = host_settings(context);
  read_membership(context, settings);
  settings.renew_secret_every = *parse_duration(context.value_or("renew-secret", "7d"));
  if (settings.renew_secret_every < 100)
    usage_error("--renew-secret is 100ms or longer", {}, "--renew-secret 7d", "--renew-secret");
  if (const auto metrics = context.value("metrics")) settings.metrics = listen_of("metrics", *metrics);
  settings.data = data_of(context) / "host";
  settings.pool = context.value_or("pool", "");
  settings.instance = context.value_or("instance", "");
  if (settings.pool.empty() != settings.instance.empty())
    usage_error("--pool and --instance belong together", "they say which machine of a scaler's pool this is",
                "--pool cpu --instance vm-7", settings.pool.empty() ? "--pool" : "--instance");
  if (!context.services.host) not_wired();
  return context.services.host(settings, log_settings(context));
}

int scaler(Context& context) {
  ScalerSettings settings;
  settings.hub = context.called_hub();
  settings.trust = context.trust();
  settings.tokens = context.hub().transport().options().tokens;
  if (context.hub().transport().options().token.empty())
    throw Trouble{kNotAllowed, "a scaler needs a token with the role operator",
                  "none is given, and none was left here for " + settings.hub + " in " +
                      (data_directory() / "admin.token").string(),
                  "on the hub's machine: geres token create NAME --role operator, then here GERES_TOKEN=TOKEN",
                  "unauthenticated"};
  settings.data = data_of(context);
  if (!context.services.scaler) not_wired();
  return context.services.scaler(settings, log_settings(context));
}

Flag data_flag() {
  return {.name = "data",
          .value = "DIR",
          .help = "where everything lies (default ~/.local/share/geres)",
          .environment = "GERES_DATA",
          .live = Live::files};
}

std::vector<Flag> hub_flags() {
  return {
      data_flag(),
      {.name = "listen",
       .value = "ADDRESS",
       .help = "address and port, with https:// for TLS (default 127.0.0.1:8080)",
       .environment = "GERES_LISTEN",
       .many = true,
       .elsewhere = {"port", "address", "bind", "host"}},
      {.name = "tls-cert",
       .value = "FILE",
       .help = "the certificate, with those that lead to its authority",
       .environment = "GERES_TLS_CERT",
       .live = Live::files},
      {.name = "tls-key",
       .value = "FILE",
       .help = "its key, without a passphrase",
       .environment = "GERES_TLS_KEY",
       .live = Live::files},
      {.name = "tls-client-ca",
       .value = "FILE",
       .help = "hosts show a certificate of these authorities that names them",
       .environment = "GERES_TLS_CLIENT_CA",
       .live = Live::files},
      {.name = "host-auth",
       .value = "HOW",
       .help = "with --tls-client-ca: what makes a host (default both)",
       .kind = Kind::choice,
       .choices = {"secret", "mtls", "both"}},
      {.name = "tls-self-signed",
       .help = "a certificate by an authority of the hub's own, which clients trust by its pin"},
      {.name = "plain-http",
       .help = "listen without TLS for other machines, too: a proxy or the network keeps others out"},
      {.name = "store",
       .value = "STORE",
       .help = "sqlite:FILE (default DATA/geres.db) or postgresql://USER@HOST/DATABASE; see docs/postgres.md"},
      {.name = "connections", .value = "N", .help = "clients held at a time (default 20000)", .kind = Kind::integer},
      {.name = "new-admin-token", .help = "make one if DATA/admin.token is lost"},
      {.name = "calls-per-token",
       .value = "N",
       .help = "calls a second that each token may make (default: no limit); hosts have none",
       .kind = Kind::integer},
      {.name = "calls-per-tenant",
       .value = "N",
       .help = "the same for each tenant's tokens together",
       .kind = Kind::integer},
      {.name = "calls-per-address",
       .value = "N",
       .help = "the same for each address; not behind a proxy, where all have the proxy's",
       .kind = Kind::integer},
      {.name = "metrics-tenants",
       .value = "N",
       .help = "tenants with figures of their own at /metrics, those with the most open jobs (default 20)",
       .kind = Kind::integer},
      {.name = "client-patience",
       .value = "TIME",
       .help = "how long a client may send or take nothing (default 30s, 10s for headers)",
       .kind = Kind::duration},
      {.name = "blobs",
       .value = "BLOBS",
       .help = "where packages and files are kept: dir:DIRECTORY (default DATA/blobs), s3:BUCKET[/PREFIX] or "
               "azure:ACCOUNT/CONTAINER[/PREFIX]; see docs/blobs.md"},
      {.name = "import-layout",
       .value = "PLACE",
       .help = "a store in which others put packages: azure:ACCOUNT/jobprocessorfiles/{tenant}/{package}.zip, for "
               "example; see docs/blobs.md"},
      {.name = "blob-cache",
       .value = "SIZE",
       .help = "of files elsewhere, how much is kept on this disk for readers (default 1GiB)",
       .kind = Kind::size},
      {.name = "logs-rest",
       .value = "TIME",
       .help = "with files elsewhere: how long after its job's end a log goes there as well (default 1min)",
       .kind = Kind::duration},
      {.name = "lease",
       .value = "TIME",
       .help = "a host silent for so long loses its jobs to others (default 30s)",
       .kind = Kind::duration},
      {.name = "report-every",
       .value = "TIME",
       .help = "how often hosts report at least (default 5s, less with a short lease)",
       .kind = Kind::duration},
      {.name = "cors-origin",
       .value = "ORIGIN",
       .help = "web pages of this origin (https://app.example) may call the hub",
       .many = true},
      {.name = "public-url",
       .value = "URL",
       .help = "where browsers find the hub's page, if not at its own address: https://example.com/ops/geres/"},
      {.name = "auth-config",
       .value = "FILE",
       .help = "identity providers whose tokens are taken, and what their claims mean (JSON)",
       .live = Live::files},
      {.name = "webhook-allow",
       .value = "NET",
       .help = "a private network (10.0.0.0/8) or host that webhooks may call",
       .many = true},
      {.name = "webhook-ca",
       .value = "FILE",
       .help = "certificates (PEM) that webhooks trust beside the system's",
       .live = Live::files},
      {.name = "webhook-retry",
       .value = "TIME",
       .help = "before a webhook is called again, then longer (default 10s)",
       .kind = Kind::duration},
      {.name = "webhook-attempts",
       .value = "N",
       .help = "then an event is a dead letter (default 12)",
       .kind = Kind::integer},
      {.name = "amqp",
       .value = "URL",
       .help = "publish all events to amqp[s]://host[:port]/ADDRESS (AMQP 1.0)",
       .environment = "GERES_AMQP"},
      {.name = "amqp-user",
       .value = "NAME",
       .help = "log in to it with SASL PLAIN (default: anonymously)",
       .environment = "GERES_AMQP_USER"},
      {.name = "amqp-password-file",
       .value = "FILE",
       .help = "the user's password (or GERES_AMQP_PASSWORD)",
       .environment = "GERES_AMQP_PASSWORD_FILE",
       .live = Live::files},
      {.name = "amqp-ca",
       .value = "FILE",
       .help = "amqps: trust these authorities (default: the system's)",
       .environment = "GERES_AMQP_CA",
       .live = Live::files},
      {.name = "amqp-token-issuer",
       .value = "URL",
       .help = "the broker wants a token: the identity provider that gives it",
       .environment = "GERES_AMQP_TOKEN_ISSUER"},
      {.name = "amqp-client-id", .value = "ID", .help = "as which client of it", .environment = "GERES_AMQP_CLIENT_ID"},
      {.name = "amqp-client-secret-file",
       .value = "FILE",
       .help = "that client's secret",
       .environment = "GERES_AMQP_CLIENT_SECRET_FILE",
       .live = Live::files},
      {.name = "amqp-token-scope",
       .value = "SCOPE",
       .help = "what the token is for (default https://servicebus.azure.net/.default)"},
      {.name = "amqp-shared-key-file",
       .value = "FILE",
       .help = "instead: a connection string of Azure, whose key signs the token",
       .environment = "GERES_AMQP_SHARED_KEY_FILE",
       .live = Live::files},
      {.name = "amqp-from",
       .value = "WHERE",
       .help = "where it begins when it is first used (default now)",
       .kind = Kind::choice,
       .choices = {"now", "start"}},
      {.name = "amqp-tries",
       .value = "N",
       .help = "leave out an event that was rejected so often (default 0: never)",
       .kind = Kind::integer},
      {.name = "pool",
       .value = "MIN..MAX",
       .help = "hosts of this machine that come and go with the work (the pool 'here')"},
      {.name = "no-scaler", .help = "start no scaler here: geres scaler run is at work elsewhere"},
      {.name = "log",
       .value = "LEVEL",
       .help = "what is logged",
       .kind = Kind::choice,
       .choices = {"debug", "info", "warn", "error"}}};
}

std::vector<Flag> host_flags() {
  return {
      {.name = "name", .value = "N", .help = "the host's name (default: the machine's)"},
      {.name = "slots", .value = "N", .help = "jobs at a time (default: one for each core)", .kind = Kind::integer},
      {.name = "memory", .value = "SIZE", .help = "memory for jobs (default: the machine's)", .kind = Kind::size},
      {.name = "label", .value = "K=V", .help = "what jobs may ask for with --label", .kind = Kind::pair, .many = true},
      {.name = "tenant", .value = "T", .help = "runs only jobs of this tenant", .many = true},
      {.name = "drain",
       .value = "TIME",
       .help = "how long jobs may go on when it stops (default 10s)",
       .kind = Kind::duration},
      {.name = "isolation",
       .value = "KIND",
       .help = "who jobs run as: each as a user of its own (user; default for root), or as this one (none)",
       .kind = Kind::choice,
       .choices = {"none", "user", "sandbox"}},
      {.name = "allow-root", .help = "with --isolation none: jobs run as root, and may do what root may"},
      {.name = "uid-block",
       .value = "FIRST",
       .help = "the 65536 user ids from here on are the jobs' (default: a block that is free)",
       .kind = Kind::integer},
      {.name = "scratch-limit",
       .value = "SIZE",
       .help = "disk that one job's files may take up (default 10GiB, 0: any)",
       .kind = Kind::size},
      {.name = "process-limit",
       .value = "N",
       .help = "processes that one job may have (default 4096, 0: any)",
       .kind = Kind::integer},
      {.name = "default-memory",
       .value = "SIZE",
       .help = "memory of a job that asks for none (default: twice its share, at least 256MiB; 0: any)",
       .kind = Kind::size},
      {.name = "oom-policy",
       .value = "WHAT",
       .help = "whether a process killed for want of memory ends its job (default end)",
       .kind = Kind::choice,
       .choices = {"end", "continue"}},
      {.name = "fence",
       .value = "WHETHER",
       .help = "Landlock keeps jobs to their own files (default: on where it can, off as root)",
       .kind = Kind::choice,
       .choices = {"on", "off"}},
      {.name = "writable", .value = "DIR", .help = "a directory that fenced jobs may write to, too", .many = true},
      {.name = "containment",
       .value = "KIND",
       .help = "insist on what holds a job's processes together (default: the best that works)",
       .kind = Kind::choice,
       .choices = {"cgroup2", "freezer", "pidns", "bestEffort"}}};
}

std::vector<Flag> together(std::vector<Flag> a, const std::vector<Flag>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace

std::vector<Command> serve_commands() {
  return {
      {.path = "up",
       .sentence = "Start everything on this machine: a hub with its store, and a host that runs jobs",
       .usage = {"[--data <directory>] [--listen <address>] [--slots <n>] [<flag>...]"},
       .examples = {"geres up", "geres up --data /srv/geres --slots 8",
                    "geres up --listen https://0.0.0.0:8443 --tls-self-signed", "geres up --pool 0..4"},
       .flags = together(hub_flags(), host_flags()),
       .run = up,
       .group = Group::everyday,
       .remote = false},
      {.path = "hub",
       .sentence = "Start a hub alone; hosts join it from other machines",
       .usage = {"[--data <directory>] [--listen <address>] [<flag>...]"},
       .examples = {"geres hub --listen https://0.0.0.0:8443 --tls-self-signed",
                    "geres hub --cors-origin https://app.example",
                    "geres hub --data /srv/geres --store sqlite:/srv/fast/geres.db"},
       .flags = hub_flags(),
       .run = hub,
       .group = Group::fleet,
       .remote = false},
      {.path = "host",
       .sentence = "Run jobs of a hub on this machine",
       .usage = {"--join <string> [--slots <n>] [--label <name>=<value>...] [<flag>...]",
                 "--hub <url> [--slots <n>] [--label <name>=<value>...] [<flag>...]"},
       .examples = {"geres host --join-file join.txt --slots 8", "geres host --hub https://10.0.0.5:8443 --slots 8",
                    "geres host --label gpu=a100 --tenant demo --drain 1m"},
       .flags = together(together({data_flag()}, host_flags()),
                         {{.name = "join",
                           .value = "STRING",
                           .help = "what 'geres hosts invite' printed; after the first start it is not needed",
                           .environment = "GERES_JOIN"},
                          {.name = "join-file",
                           .value = "FILE",
                           .help = "the same, from a file, which command lines do not show",
                           .live = Live::files},
                          {.name = "renew-secret",
                           .value = "TIME",
                           .help = "how often a host that has joined changes its secret (default 7d)",
                           .kind = Kind::duration},
                          {.name = "ca-file", .value = "FILE", .help = "the same as --ca"},
                          {.name = "cert",
                           .value = "FILE",
                           .help = "shown to a hub that asks hosts for a certificate",
                           .environment = "GERES_CERT",
                           .live = Live::files},
                          {.name = "key",
                           .value = "FILE",
                           .help = "its key, without a passphrase",
                           .environment = "GERES_KEY",
                           .live = Live::files},
                          {.name = "pool",
                           .value = "POOL",
                           .help = "with --instance: the machine of a scaler's pool that this is",
                           .environment = "GERES_POOL"},
                          {.name = "instance",
                           .value = "ID",
                           .help = "what the pool's provider calls it",
                           .environment = "GERES_INSTANCE"},
                          {.name = "metrics",
                           .value = "ADDRESS",
                           .help = "answer GET /metrics there, to anybody, such as 127.0.0.1:9469 (default: nowhere)"},
                          {.name = "log",
                           .value = "LEVEL",
                           .help = "what is logged",
                           .kind = Kind::choice,
                           .choices = {"debug", "info", "warn", "error"}}}),
       .run = host,
       .group = Group::fleet},
      {.path = "scaler run",
       .sentence = "Keep a hub's pools at what their policies want; of several, one acts and the others wait",
       .usage = {"--hub <url> [--data <directory>] [<flag>...]"},
       .examples = {"geres scaler run --hub https://10.0.0.5:8443"},
       .flags = {data_flag(),
                 {.name = "ca-file", .value = "FILE", .help = "the same as --ca"},
                 {.name = "log",
                  .value = "LEVEL",
                  .help = "what is logged",
                  .kind = Kind::choice,
                  .choices = {"debug", "info", "warn", "error"}}},
       .run = scaler},
  };
}

}  // namespace geres::cli
