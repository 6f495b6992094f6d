// SPDX-License-Identifier: Apache-2.0
// What the hub says about itself: health, figures, version, status on one screen, the API contract, the landing page.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "hub/api/embedded.h"
#include "hub/api/handlers.h"
#include "hub/api/metrics.h"
#include "hub/api/page.h"
#include "hub/api/query.h"
#include "metrics/page.h"
#include "model/job.h"
#include "model/job_transitions.h"
#include "wire/api/job_json.h"
#include "wire/api/things.h"

namespace geres::hub::api {
namespace {

constexpr std::string_view kPageStart =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
    "content=\"width=device-width\"><style>body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem "
    "auto;padding:0 1rem;color:#222}code,pre{background:#f3f3f3;padding:.1rem .3rem;border-radius:3px}"
    "h2{margin-top:2rem}</style>";

http::Response page(std::string html) {
  auto response = http::text_response(200, "text/html; charset=utf-8", std::move(html));
  response.headers.emplace_back("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  return response;
}

http::Response word(unsigned status, std::string_view text) {
  auto response = http::text_response(status, "text/plain", std::string(text) + "\n");
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

store::Totals visible(store::Totals totals, const Identity& who) {
  std::erase_if(totals.by_tenant, [&](const auto& entry) { return !who.sees(entry.first); });
  return totals;
}

// Hosts that need attention, by reason: the first few names, and how many there are.
class Troubled {
 public:
  void add(const engine::HostInfo& info) {
    const auto& name = info.host.name;
    if (!info.alive)
      lost_.add(name);
    else if (info.host.mode != model::HostMode::run)
      draining_.add(name);
    else if (info.health != model::Health::well)
      resting_.add(name);
  }
  std::int64_t resting() const { return resting_.count; }
  json::object names() {
    return {{"draining", std::move(draining_.names)},
            {"lost", std::move(lost_.names)},
            {"resting", std::move(resting_.names)}};
  }

 private:
  static constexpr std::int64_t kNamesMax = 10;
  struct List {
    json::array names;
    std::int64_t count = 0;
    void add(const std::string& name) {
      if (count++ < kNamesMax) names.push_back(json::value(std::string_view(name)));
    }
  };
  List lost_, draining_, resting_;
};

json::object hosts_summary(const Identity& who, const engine::Snapshot& fleet) {
  int live = 0, draining = 0, lost = 0, slots = 0, busy = 0;
  Troubled troubled;
  for (const auto& host : fleet.hosts) {
    const auto& info = *host.info;
    const auto& tenants = info.host.tenants;
    if (!who.all_tenants() && tenants &&
        std::none_of(tenants->begin(), tenants->end(), [&](const auto& t) { return who.sees(t); }))
      continue;
    troubled.add(info);
    if (!info.alive) {
      ++lost;
      continue;
    }
    ++(info.host.mode == model::HostMode::run ? live : draining);
    slots += info.host.slots;
    busy += info.slots_busy;
  }
  return {{"live", live}, {"draining", draining},     {"lost", lost}, {"resting", troubled.resting()}, {"slots", slots},
          {"busy", busy}, {"names", troubled.names()}};
}

json::object files_json(const packages::Blobs& blobs) {
  json::object body{{"place", blobs.name()}};
  if (const auto why = blobs.trouble(); !why.empty()) body.emplace("trouble", why);
  return body;
}

json::object amqp_json(const amqp::Publisher& publisher, const std::string& log) {
  const auto now = publisher.status();
  json::object body{{"target", std::string_view(now.target)},
                    {"connected", now.connected},
                    {"cursor", std::string_view(events::event_id(log, now.cursor))},
                    {"behind", now.behind}};
  if (!now.error.empty()) body.emplace("error", std::string_view(now.error));
  return body;
}

Millis waits_since(const model::Job& job) {
  return std::max(job.status.ready_at, job.status.submitted_at);
}

json::value oldest_waiting(const model::Job& job) {
  return json::object{{"id", std::string_view(job.id.str())},
                      {"type", std::string_view(job.spec.type)},
                      {"batch", std::string_view(model::batch_text(job.spec.batch))},
                      {"since", std::string_view(format_time(waits_since(job)))}};
}

std::int64_t log_bytes(const About& about) {
  std::error_code absent;
  const auto size = std::filesystem::file_size(about.store_path + "-wal", absent);
  return absent ? 0 : std::int64_t(size);
}

std::optional<std::int64_t> backup_seconds(const About& about) {
  struct stat facts {};
  return ::stat(about.backup_mark.c_str(), &facts) == 0 ? std::optional(std::int64_t(facts.st_mtime)) : std::nullopt;
}

// Figures matter most when the engine is stuck. Then they come without those of hosts and of what waits longest.
awaitable<engine::SnapshotPtr> fleet_soon(Call& call) {
  constexpr Millis kPatience = 1'000;
  http::Promise<Result<engine::SnapshotPtr>> promise;
  auto future = promise.future();
  engine::Answer<engine::SnapshotPtr> answer = [promise](Result<engine::SnapshotPtr> fleet) {
    promise.set(std::move(fleet));
  };
  call.api.engine.snapshot(std::move(answer));
  promise = http::Promise<Result<engine::SnapshotPtr>>();
  const auto fleet = co_await future.get(kPatience);
  if (!fleet || !*fleet) co_return nullptr;
  co_return **fleet;
}

Readiness::Now readiness(const Api& api) {
  if (api.ready()) return api.readiness->now();
  Readiness::Now now;
  now.takes_jobs = false, now.why = "the hub is stopping";
  return now;
}

}  // namespace

json::object caller_json(const Api& api, const Identity& who) {
  json::array roles, tenants;
  for (const auto role : who.roles) roles.push_back(json::value(role_name(role)));
  for (const auto& tenant : who.tenants) tenants.push_back(json::value(std::string_view(tenant)));
  json::object caller{
      {"name", std::string_view(who.name)}, {"roles", std::move(roles)}, {"tenants", std::move(tenants)}};
  if (const auto tenant = tenant_left_out(api, who); !tenant.empty())
    caller.emplace("tenant", std::string_view(tenant));
  return caller;
}

awaitable<Answered> get_asset(Call& call) {
  if (auto found = call.api.page->asset(call.request, "assets/" + call.capture("path"))) co_return std::move(*found);
  co_return fail(Code::notFound, "the page has no such file");
}

awaitable<Answered> get_root(Call& call) {
  if (!call.api.page->empty()) co_return call.api.page->index(call.request);
  std::string html(kPageStart);
  html +=
      "<title>GeRes</title><h1>GeRes</h1><p>This is a hub: it takes jobs, hands them to hosts and keeps what came of "
      "them.</p><ul><li><a href=\"/openapi.yaml\">The API's contract</a> (OpenAPI 3.1)</li><li><a "
      "href=\"/errors\">Every "
      "error and what to do about it</a></li><li><a href=\"/healthz\">healthz</a>, <a href=\"/readyz\">readyz</a>; "
      "<code>/metrics</code> and <code>/v1</code> need a token</li></ul><h2>A first job</h2><pre>";
  html += call.api.default_tenant.empty() ? "geres run --tenant demo echo hello" : "geres run echo hello";
  html += "</pre>";
  co_return page(std::move(html));
}

awaitable<Answered> get_errors(Call&) {
  std::string html(kPageStart);
  html += "<title>GeRes: errors</title><h1>Errors</h1><p>The <code>code</code> of a problem answer is stable.</p>";
  for (const auto& kind : problem_table())
    html += fmt::format("<h2 id=\"{0}\"><code>{0}</code></h2><p>{1} {2}. <b>Try:</b> {3}.</p>", error_name(kind.code),
                        kind.status, kind.title, kind.hint);
  co_return page(std::move(html));
}

awaitable<Answered> get_openapi(Call&) {
  co_return http::text_response(200, "application/yaml; charset=utf-8", std::string(kOpenapiYaml));
}

awaitable<Answered> get_healthz(Call&) {
  co_return word(200, "ok");
}

awaitable<Answered> get_readyz(Call& call) {
  // 503 only where another hub would do better; this one's full disk is no reason to send its callers elsewhere.
  const auto now = readiness(call.api);
  json::object body{{"takesJobs", now.takes_jobs}};
  if (!now.takes_jobs) body.emplace("why", std::string_view(now.why));
  auto response = json_response(call.api.ready() ? 200 : 503, body);
  response.headers.emplace_back("Cache-Control", "no-store");
  co_return response;
}

awaitable<Answered> get_metrics(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto fleet = co_await fleet_soon(call);
  Metrics::Now now;
  auto read = [&] {
    now.totals = visible(call.api.reads.totals(), call.who);
    now.store_bytes = call.api.reads.size_bytes();
    now.store_wal_bytes = log_bytes(call.api.about);
    if (call.api.tls) now.certificate_until = call.api.tls->certificate().until / 1'000;
    now.backup_at = backup_seconds(call.api.about);
    if (!fleet) return;
    if (const auto job = engine::oldest_ready(*fleet, call.who.tenants, call.api.reads))
      now.oldest_ready_seconds = double(std::max<Millis>(0, call.api.clock.wall() - waits_since(*job))) / 1000;
  };
  co_await blocking(call, read);
  if (call.who.all_tenants()) {
    now.stats = &call.api.engine.stats();
    now.fleet = fleet;
  }
  now.readiness = readiness(call.api);
  now.tenants_shown = call.api.metrics_tenants;
  now.hosts_lost = call.api.chronicle->hosts_lost();
  now.signalr = call.api.signalr.count();
  now.webhooks = &call.api.webhooks->figures();
  now.publisher = call.api.publisher;
  now.verifier = call.api.access.verifier;
  now.waiting_readers = call.api.pool.waiting();
  now.followers = call.api.feed.subscribers();
  co_return http::text_response(200, metrics::kContentType, call.api.metrics.text(now));
}

json::object tls_json(const Api& api) {
  const auto certificate = api.tls->certificate();
  json::object tls{{"names", json::write(certificate.names)},
                   {"until", std::string_view(format_time(certificate.until))}};
  if (!api.ca_pin.empty()) tls.emplace("caPin", std::string_view(api.ca_pin));
  return tls;
}

awaitable<Answered> get_info(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto& about = call.api.about;
  json::object store{{"kind", std::string_view(about.store_kind)}};
  json::object body{{"version", GERES_VERSION},
                    {"now", std::string_view(format_time(call.api.clock.wall()))},
                    {"startedAt", std::string_view(format_time(about.started_at))}};
  if (call.who.may(model::Role::operator_) && call.who.all_tenants()) {
    auto read = [&] { return call.api.reads.size_bytes(); };
    store.emplace("path", std::string_view(about.store_path));
    store.emplace("sizeBytes", co_await blocking(call, read));
    const auto& stats = call.api.engine.stats();
    if (const auto commits = stats.commits.load(); commits > 0)
      store.emplace("meanCommitMs", double(stats.commit_micros) / 1000 / double(commits));
    body.emplace("dataDirectory", std::string_view(about.data_directory));
    body.emplace("files", files_json(call.api.blobs));
    if (call.api.publisher != nullptr) body.emplace("amqp", amqp_json(*call.api.publisher, call.api.teller->log()));
  }
  if (call.api.tls) body.emplace("tls", tls_json(call.api));
  if (const auto& own = call.api.public_url; !call.api.page->empty())
    body.emplace("page", std::string_view(own.origin + own.base()));
  body.emplace("store", std::move(store));
  body.emplace("caller", caller_json(call.api, call.who));
  co_return json_response(200, body);
}

awaitable<Answered> get_status(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"tenant"}); !ok) co_return ok.error();
  const auto body = co_await status_of(call, text_parameter(call.request.query, "tenant"));
  if (!body) co_return body.error();
  co_return json_response(200, *body);
}

awaitable<Result<json::object>> status_of(Call& call, std::string tenant) {
  const auto tenants = tenant.empty() ? call.who.tenants : std::vector{tenant};
  const bool some = tenant.empty() || call.who.sees(tenant);
  const auto fleet = co_await fleet_now(call);
  if (!fleet) co_return fleet.error();
  model::StateCounts sum{};
  json::object failed;
  json::value oldest;
  auto read = [&] {
    if (!some) return;
    for (const auto& [owner, counts] : visible(call.api.reads.totals(), call.who).by_tenant) {
      if (!tenant.empty() && owner != tenant) continue;
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += counts[i];
    }
    for (const auto& [reason, n] : call.api.reads.dead_letters(tenants))
      failed.emplace(json::write(reason).get_string(), n);
    if (const auto job = engine::oldest_ready(**fleet, tenants, call.api.reads)) oldest = oldest_waiting(*job);
  };
  co_await blocking(call, read);
  const auto hour = call.api.last_hour.counts(call.api.clock.wall(), [&](const std::string& owner) {
    return some && call.who.sees(owner) && (tenant.empty() || owner == tenant);
  });
  const auto now = readiness(call.api);
  json::object body{
      {"takesJobs", now.takes_jobs},
      {"jobs", wire::counts_json(sum)},
      {"lastHour", json::object{{"finished", hour.finished}, {"failed", hour.failed}, {"cancelled", hour.cancelled}}},
      {"failed", std::move(failed)},
      {"oldestWaiting", std::move(oldest)},
      {"hosts", hosts_summary(call.who, **fleet)}};
  if (!now.takes_jobs) body.emplace("why", std::string_view(now.why));
  co_return body;
}

}  // namespace geres::hub::api
