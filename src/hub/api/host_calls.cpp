// SPDX-License-Identifier: Apache-2.0
// The calls of hosts: register, fetch, report; host_uploads.cpp has those for artifacts. The bodies are those of
// wire/host/host_protocol.h. Members that are unknown here come from a newer host, and are ignored.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/sha256.h"
#include "hub/api/handlers.h"
#include "hub/api/host_certificate.h"
#include "hub/api/query.h"
#include "hub/engine/with_jobs.h"
#include "model/names.h"
#include "wire/api/job_json.h"
#include "wire/api/pool_json.h"
#include "wire/api/text_checks.h"
#include "wire/host/host_protocol.h"

namespace geres::hub::api {
namespace {

constexpr Millis kFetchWaitMax = 60'000;
constexpr int kSlotsMax = 4'096;
constexpr std::size_t kResultBytesMax = 64 * 1024;
constexpr std::size_t kErrorBytesMax = 4'096;
constexpr std::size_t kMessageBytesMax = 1'024;
constexpr std::size_t kWhyBytesMax = 300;

template <class T>
awaitable<Result<T>> host_body(Call& call, std::int64_t limit) {
  auto text = co_await body_text(call, limit);
  if (!text) co_return text.error();
  auto parse = [&] { return json::read_text<T>(*text, json::Unknown::ignored); };
  if (text->size() <= kParseHereMax) co_return parse();
  co_return co_await blocking(call, parse);
}

// ---- register

// The newest protocol that both sides know; nullopt: the host named none, and expects none in the answer.
Result<std::optional<int>> protocol_of(const http::Request& request) {
  const auto said = request.headers.get(wire::kProtocolHeader);
  if (!said) return std::optional<int>();
  int number = 0;
  const auto [end, error] = std::from_chars(said->data(), said->data() + said->size(), number);
  if (error != std::errc() || end != said->data() + said->size() || number < 1)
    return fail(Code::badValue, fmt::format("the header {} is not a protocol", wire::kProtocolHeader), {},
                fmt::format("a whole number from 1, such as {}", wire::kProtocol));
  return std::optional(std::min(number, wire::kProtocol));
}

Result<std::string> isolation_of(const http::Request& request) {
  const auto said = request.headers.get(wire::kIsolationHeader);
  if (!said || *said == "user" || *said == "fenced" || *said == "none") return std::string(said.value_or(""));
  return fail(Code::badValue, fmt::format("the header {} is not an isolation", wire::kIsolationHeader), {},
              "user, fenced or none");
}

// Reads "memory=cgroup2, processes=watched" into the host; other names are ignored.
Result<void> read_limits(const http::Request& request, model::Host& host) {
  const auto said = request.headers.get(wire::kLimitsHeader);
  if (!said) return {};
  for (std::string_view rest = *said; !rest.empty();) {
    const auto item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    const auto at = item.find('=');
    const auto start = std::min(item.find_first_not_of(' '), item.size());
    const auto name = item.substr(start, std::min(at, item.size()) - start);
    const auto held = at == std::string_view::npos ? "" : item.substr(at + 1);
    if (name != "memory" && name != "processes") continue;
    if (held != "cgroup2" && held != "cgroup1" && held != "watched")
      return fail(Code::badValue, fmt::format("the header {} does not say how a limit is held", wire::kLimitsHeader),
                  {}, "memory=HELD, processes=HELD, each one cgroup2, cgroup1 or watched");
    (name == "memory" ? host.memory_held : host.processes_held) = held;
  }
  return {};
}

// Both or neither. A token of certain tenants speaks for machines of a pool for these alone. Blocking.
Result<void> read_machine(Api& api, const Identity& who, const http::Request& request, model::Host& host) {
  const auto pool = request.headers.get(wire::kPoolHeader), instance = request.headers.get(wire::kInstanceHeader);
  if (!pool && !instance) return {};
  if (!pool || !instance)
    return fail(Code::badValue,
                fmt::format("the headers {} and {} belong together", wire::kPoolHeader, wire::kInstanceHeader), {},
                "name the machine's pool and what its provider calls it, or neither");
  if (auto ok = model::check_name(*pool, "pool name", wire::kPoolHeader); !ok) return ok;
  if (auto ok = wire::check_mark(*instance, "instance", std::string(wire::kInstanceHeader)); !ok) return ok;
  host.pool = *pool;
  host.instance = *instance;
  const bool by_token = who.kind == Identity::Kind::token;
  if (by_token ? who.all_tenants() : who.joins_for.empty()) return {};
  const auto& own = by_token ? who.tenants : who.joins_for;
  const auto row = api.reads.pool(host.pool);
  const auto* tenants = row && row->settings.like.tenants ? &*row->settings.like.tenants : nullptr;
  if (tenants == nullptr || !std::all_of(tenants->begin(), tenants->end(), [&](const auto& tenant) {
        return std::find(own.begin(), own.end(), tenant) != own.end();
      }))
    return fail(Code::forbidden, fmt::format("'{}' is not for the tenants of pool '{}'", who.name, host.pool), {},
                "use a token for the pool's tenants");
  return {};
}

Result<void> check_names(const std::optional<std::vector<std::string>>& names, std::string_view what,
                         const std::string& field) {
  if (!names) return {};
  if (names->size() > 1'000) return fail(Code::tooMany, "too many names", field, "at most 1,000");
  for (std::size_t i = 0; i < names->size(); ++i)
    if (auto ok = model::check_name((*names)[i], what, fmt::format("{}/{}", field, i)); !ok) return ok;
  return {};
}

Result<void> check(const wire::RegisterHost& shape) {
  if (auto ok = model::check_name(shape.name, "host name", "/name"); !ok) return ok;
  if (shape.slots < 1 || shape.slots > kSlotsMax)
    return fail(Code::badValue, fmt::format("{} slots", shape.slots), "/slots", "from 1 to 4096");
  if (shape.joining && (shape.joining->size() < 16 || shape.joining->size() > 128))
    return fail(Code::badValue, "this is no random id", "/joining", "16 to 128 characters, drawn by the host");
  if (shape.containment.size() > 64) return fail(Code::tooLarge, "this is too long", "/containment");
  if (auto ok = wire::check_tags(shape.labels, "/labels"); !ok) return ok;
  if (auto ok = check_names(shape.types, "job type", "/types"); !ok) return ok;
  return check_names(shape.tenants, "tenant name", "/tenants");
}

// A token of certain tenants registers hosts for these tenants only. What join tokens and hosts' own secrets are for
// the engine knows.
Result<std::optional<std::vector<std::string>>> tenants_of(const Identity& who, const wire::RegisterHost& shape) {
  if (who.kind != Identity::Kind::token) return shape.tenants;
  if (!shape.tenants) return who.all_tenants() ? std::nullopt : std::optional(who.tenants);
  for (std::size_t i = 0; i < shape.tenants->size(); ++i)
    if (!who.sees((*shape.tenants)[i])) return lacks_tenant(who, (*shape.tenants)[i], fmt::format("/tenants/{}", i));
  return shape.tenants;
}

// The earlier life must have the same name, and be for tenants that the token covers.
Result<std::optional<Uuid>> earlier_life(Api& api, const Identity& who, const wire::RegisterHost& shape) {
  if (!shape.replaces || shape.replaces->empty()) return std::optional<Uuid>();
  const auto id = parse_uuid(*shape.replaces);
  if (!id)
    return fail(Code::badValue, "this is not a host id", "/replaces", "the id that the earlier registration gave");
  if (who.kind != Identity::Kind::token) return std::optional(*id);  // whether it is its own the engine knows
  const auto host = api.reads.host(*id);
  if (!host) return std::optional(*id);
  const bool own = who.all_tenants() || (host->tenants && std::all_of(host->tenants->begin(), host->tenants->end(),
                                                                      [&](const auto& t) { return who.sees(t); }));
  if (!own) return fail(Code::forbidden, "that host works for tenants that this token has not", "/replaces");
  // Under another name it may be a copy of the data, started elsewhere. What the original runs then ends with its
  // leases, if at all.
  if (host->name != shape.name) return std::optional<Uuid>();
  return std::optional(*id);
}

model::Host host_of(const wire::RegisterHost& shape, const std::string& secret, std::string_view address) {
  model::Host host;
  host.name = shape.name;
  host.secret_sha256 = sha256_hex(secret);
  host.address = address;
  host.slots = shape.slots;
  host.memory = shape.memory.bytes;
  host.labels = shape.labels;
  host.types = shape.types;
  host.packages = shape.packages;
  host.containment = shape.containment;
  return host;
}

// ---- fetch

wire::LeaseGrant grant_shape(const Api& api, const engine::Granted& granted) {
  const auto& spec = granted.job.spec;
  const std::string lease = granted.lease.name.str();
  wire::LeaseGrant grant;
  grant.lease = lease;
  grant.ttlMs = granted.lease.ttl;
  grant.attempt = granted.lease.attempt;
  grant.job = wire::job_json(granted.job, api.batch_names.find(spec.batch).value_or(std::string()));
  // To its host a job asks for what it gets.
  if (const auto memory = model::memory_of(granted.job); memory > spec.requirements.memory) {
    auto& needs = grant.job.as_object()["requires"];
    if (!needs.is_object()) needs.emplace_object();
    needs.get_object()["memory"] = memory;
  }
  grant.timeoutMs = spec.timeout;
  if (!spec.package.empty())
    grant.package = wire::PackageRef{
        spec.package, spec.package_sha256,
        fmt::format("/v1/packages/{}/{}?sha256={}&lease={}", spec.tenant, spec.package, spec.package_sha256, lease)};
  for (const auto& input : spec.inputs)
    grant.inputs.push_back(
        {input.path, input.sha256, fmt::format("/v1/files/{}/{}?lease={}", spec.tenant, input.sha256, lease)});
  return grant;
}

std::vector<wire::CancelOrder> cancel_shapes(const std::vector<engine::CancelOrder>& orders) {
  std::vector<wire::CancelOrder> shapes;
  for (const auto& order : orders) shapes.push_back({order.lease.str(), order.grace});
  return shapes;
}

http::Response fetched_response(const Api& api, const engine::FetchAnswer& answer) {
  wire::Fetched fetched;
  fetched.heldMs = answer.held;
  for (const auto& granted : answer.leases) fetched.leases.push_back(grant_shape(api, granted));
  fetched.cancel = cancel_shapes(answer.cancel);
  fetched.mode = answer.mode;
  return json_text_response(200, json::write_text(fetched));
}

Result<void> check(const wire::Fetch& shape) {
  if (shape.fetchId.empty() || shape.fetchId.size() > 128)
    return fail(Code::badValue, "this is not a fetch id", "/fetchId", "1 to 128 characters");
  if (shape.slots < 0 || shape.slots > kSlotsMax)
    return fail(Code::badValue, fmt::format("{} slots", shape.slots), "/slots", "from 0 to 4096");
  if (shape.wait.ms > kFetchWaitMax) return fail(Code::badValue, "the wait is too long", "/wait", "at most 1m");
  return {};
}

// ---- report

Result<Uuid> lease_name(const std::string& text, std::string field) {
  if (const auto name = parse_uuid(text)) return *name;
  return fail(Code::badValue, "this is not a lease", std::move(field), "the name that the fetch gave");
}

Result<std::vector<Uuid>> lease_names(const std::vector<std::string>& texts, const char* field) {
  std::vector<Uuid> names;
  names.reserve(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto name = parse_uuid(texts[i]);
    if (!name) return lease_name(texts[i], fmt::format("/{}/{}", field, i)).error();
    names.push_back(*name);
  }
  return names;
}

// For people to read, so it is shortened rather than refused.
model::FilesLeftOut left_out(wire::FilesLeftOutShape&& shape) {
  model::FilesLeftOut told;
  for (auto& file : shape.named)
    told.add({std::string(utf8_prefix(file.path, kMessageBytesMax)), std::string(utf8_prefix(file.why, kWhyBytesMax))});
  told.count = std::max(told.count, shape.count);
  return told;
}

void read_given_back(engine::Completion& done) {
  if (done.outcome != model::Outcome::released) return;
  const auto begins = [&](std::string_view words, engine::GivenBack how) {
    if (!done.error.starts_with(words)) return;
    done.given_back = how;
    done.reason = done.error.substr(words.size());
  };
  begins(wire::kNotStarted, engine::GivenBack::not_started);
  begins(wire::kNoRoom, engine::GivenBack::no_room);
}

Result<engine::Completion> completion(wire::FinishedItem&& item, const std::string& field) {
  engine::Completion done;
  const auto lease = lease_name(item.lease, field + "/lease");
  if (!lease) return lease.error();
  if (item.outcome == model::Outcome::expired)
    return fail(Code::badValue, "'expired' is the hub's own word", field + "/outcome");
  done.lease = *lease;
  done.outcome = item.outcome;
  done.result_truncated = item.resultTruncated;
  if (item.result) {
    if (item.result->size() > kResultBytesMax) {
      item.result->resize(utf8_prefix(*item.result, kResultBytesMax).size());
      done.result_truncated = true;
    }
    done.result = std::move(item.result);
  }
  if (item.exit) done.exit = model::Exit{item.exit->code, item.exit->signal};
  done.cause = item.cause;
  done.memory_limit = std::max<std::int64_t>(0, item.memoryLimit.value_or(0));
  if (item.usage) done.usage = model::Usage{item.usage->cpuSeconds, item.usage->maxRssBytes};
  done.error = std::string(utf8_prefix(item.error, kErrorBytesMax));
  read_given_back(done);
  if (item.files.size() > 10'000) return fail(Code::tooMany, "too many files", field + "/files", "at most 10,000");
  for (std::size_t i = 0; i < item.files.size(); ++i) {
    const auto here = fmt::format("{}/files/{}", field, i);
    auto& file = item.files[i];
    if (auto ok = model::check_relative_path(file.path, here + "/path"); !ok) return ok.error();
    if (!is_sha256_hex(file.sha256)) return fail(Code::badValue, "this is not a SHA-256", here + "/sha256");
    if (file.size < 0) return fail(Code::badValue, "the size is negative", here + "/size");
    done.files.push_back({std::move(file.path), file.size, std::move(file.sha256)});
  }
  if (item.filesLeftOut) done.files_left_out = left_out(std::move(*item.filesLeftOut));
  return done;
}

Result<engine::ReportCall> report_call(wire::Report& shape, Uuid host) {
  if (shape.fetchedOnly && !*shape.fetchedOnly)
    return fail(Code::badValue, "`fetched` speaks of one answer alone", "/fetchedOnly", "leave it out");
  engine::ReportCall report;
  report.host = host;
  report.seq = shape.seq;
  report.fetched = shape.fetched;
  report.leaving = shape.leaving;
  if (shape.health) {
    report.health = shape.health->state;
    report.health_reason = utf8_prefix(shape.health->reason, kWhyBytesMax);
  }
  auto running = lease_names(shape.running, "running");
  if (!running) return running.error();
  report.running = std::move(*running);
  auto started = lease_names(shape.started, "started");
  if (!started) return started.error();
  report.started = std::move(*started);
  for (std::size_t i = 0; i < shape.progress.size(); ++i) {
    auto& item = shape.progress[i];
    const auto lease = lease_name(item.lease, fmt::format("/progress/{}/lease", i));
    if (!lease) return lease.error();
    if (item.percent && (*item.percent < 0 || *item.percent > 100))
      return fail(Code::badValue, "the percentage is out of range", fmt::format("/progress/{}/percent", i), "0 to 100");
    report.progress.emplace_back(
        *lease, model::Progress{item.percent, std::string(utf8_prefix(item.message, kMessageBytesMax))});
  }
  for (std::size_t i = 0; i < shape.finished.size(); ++i) {
    auto done = completion(std::move(shape.finished[i]), fmt::format("/finished/{}", i));
    if (!done) return done.error();
    report.finished.push_back(std::move(*done));
  }
  return report;
}

// Called before the engine gets the report, so that whoever sees an end can see the whole log.
Result<void> store_logs(Api& api, const std::vector<wire::LogItem>& items, Uuid host) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto& item = items[i];
    const auto field = [i](const char* name) { return fmt::format("/log/{}/{}", i, name); };
    const auto name = parse_uuid(item.lease);
    if (!name) return fail(Code::badValue, "this is not a lease", field("lease"));
    const auto stream = logs::parse_stream(item.stream);
    if (!stream) return fail(Code::badValue, "there is no such stream", field("stream"), "stdout or stderr");
    const auto bytes = from_base64(item.data);
    if (!bytes) return fail(Code::badValue, "this is not base64", field("data"));
    const auto lease = api.engine.lease(*name);
    if (!lease || lease->host != host) continue;  // a stale lease changes nothing
    if (api.logs.append({lease->job, lease->attempt, *stream}, item.offset, *bytes))
      api.feed.log_grew(lease->job);
    else
      log::warn("log of job {} attempt {}: a piece at {} leaves a gap and was dropped", lease->job.str(),
                lease->attempt, item.offset);
  }
  return {};
}

void find_missing_files(Api& api, engine::ReportCall& report) {
  for (auto& done : report.finished) {
    const auto lease = api.engine.lease(done.lease);
    if (!lease) continue;
    std::vector<std::string> digests;
    for (const auto& file : done.files) digests.push_back(file.sha256);
    const auto found = api.blobs.find(lease->tenant, digests);
    done.files_missing = std::any_of(found.begin(), found.end(), [](const auto& blob) { return !blob; });
  }
}

http::Response reported_response(const engine::ReportAnswer& answer) {
  wire::Reported reported;
  for (const auto lease : answer.accepted) reported.accepted.push_back(lease.str());
  for (const auto& item : answer.refused)
    reported.refused.push_back({item.lease.str(), std::string(error_name(item.code))});
  for (const auto lease : answer.lost) reported.lost.push_back(lease.str());
  reported.cancel = cancel_shapes(answer.cancel);
  reported.mode = answer.mode;
  return json_text_response(200, json::write_text(reported));
}

}  // namespace

awaitable<Answered> register_host(Call& call) {
  const auto protocol = protocol_of(call.request);
  if (!protocol) co_return protocol.error();
  auto isolation = isolation_of(call.request);
  if (!isolation) co_return isolation.error();
  auto shape = co_await host_body<wire::RegisterHost>(call, call.api.limits.spec_bytes);
  if (!shape) co_return shape.error();
  if (auto ok = check(*shape); !ok) co_return ok.error();
  if (auto ok = check_host_certificate(call.api, call.request, shape->name); !ok) co_return ok.error();
  std::string secret = new_secret();
  engine::RegisterHost what;
  what.host = host_of(*shape, secret, call.request.peer);
  what.host.isolation = std::move(*isolation);
  if (auto ok = read_limits(call.request, what.host); !ok) co_return ok.error();
  auto tenants = tenants_of(call.who, *shape);
  if (!tenants) co_return tenants.error();
  what.host.tenants = std::move(*tenants);
  auto look = [&] { return earlier_life(call.api, call.who, *shape); };
  const auto replaces = co_await blocking(call, look);
  if (!replaces) co_return replaces.error();
  auto look_at_machine = [&] { return read_machine(call.api, call.who, call.request, what.host); };
  if (auto ok = co_await blocking(call, look_at_machine); !ok) co_return ok.error();
  what.replaces = *replaces;
  what.by_operator = call.who.may(model::Role::operator_);
  if (call.who.kind == Identity::Kind::join) what.join_token = call.who.id;
  if (shape->joining) what.joining = sha256_hex(*shape->joining);
  what.change = shape->change.value_or(0);
  // Its own secret stays: an answer that is lost must not lock it out.
  if (call.who.enrolment) {
    what.enrolment = call.who.enrolment;
    secret = bearer_of(call.request.headers.get("Authorization").value_or(""));
  }
  const auto host = co_await ask_engine(call, std::move(what));
  if (!host) co_return host.error();
  if (call.who.kind == Identity::Kind::join)
    note(call, "host joined", {{"host", host->name}, {"hostId", host->id.str()}, {"joinTokenId", call.who.id.str()}});
  const wire::Registered registered{host->id.str(), secret, double(call.api.limits.report_every) / 1'000, *protocol};
  auto response = json_response(201, json::write(registered));
  response.headers.emplace_back("Cache-Control", "no-store");
  co_return response;
}

awaitable<Answered> renew_host_secret(Call& call) {
  const auto shape = co_await host_body<wire::RenewSecret>(call, call.api.limits.spec_bytes);
  if (!shape) co_return shape.error();
  const wire::RenewedSecret renewed{new_secret()};
  const engine::RenewHostSecret verb{call.who.id, call.who.digest, sha256_hex(renewed.secret), shape->change};
  const auto done = co_await ask_engine(call, verb);
  if (!done) co_return done.error();
  note(call, "host's secret renewed", {{"host", call.who.name}, {"hostId", call.who.id.str()}});
  auto response = json_response(200, json::write(renewed));
  response.headers.emplace_back("Cache-Control", "no-store");
  co_return response;
}

awaitable<Answered> host_fetch(Call& call) {
  const Millis received = call.api.clock.monotonic();
  auto shape = co_await host_body<wire::Fetch>(call, call.api.limits.spec_bytes);
  if (!shape) co_return shape.error();
  if (auto ok = check(*shape); !ok) co_return ok.error();
  engine::FetchCall fetch{call.who.id, shape->fetchId, shape->slots, shape->wait.ms, received};
  http::Promise<Result<engine::FetchAnswer>> promise;
  auto future = promise.future();
  call.api.engine.ask(std::move(fetch),
                      [promise](Result<engine::FetchAnswer> answer) { promise.set(std::move(answer)); });
  promise = {};
  auto answer = co_await future.get(call.request.cancellation);
  if (!answer) {
    // The host has gone, or the hub stops, so nothing may be granted to this call any more.
    call.api.engine.abandon_fetch(call.who.id, shape->fetchId, received);
    co_return fail(Code::unavailable, "the hub is stopping");
  }
  if (!*answer) co_return answer->error();
  co_return fetched_response(call.api, **answer);
}

awaitable<Answered> host_report(Call& call) {
  auto shape = co_await host_body<wire::Report>(call, call.api.limits.list_bytes);
  if (!shape) co_return shape.error();
  auto report = report_call(*shape, call.who.id);
  if (!report) co_return report.error();
  if (!shape->log.empty()) {
    auto store = [&] { return store_logs(call.api, shape->log, call.who.id); };
    if (auto ok = co_await blocking(call, store); !ok) co_return ok.error();
  }
  const bool names_files = std::any_of(report->finished.begin(), report->finished.end(),
                                       [](const auto& done) { return !done.files.empty(); });
  if (names_files) {
    auto look = [&] { find_missing_files(call.api, *report); };
    co_await blocking(call, look);
  }
  const auto answer = co_await ask_engine(call, std::move(*report));
  if (!answer) co_return answer.error();
  co_return reported_response(*answer);
}

}  // namespace geres::hub::api
