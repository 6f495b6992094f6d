// SPDX-License-Identifier: Apache-2.0
// What every handler is made of: the hub's parts, the current call, and the few verbs of translation (read the body,
// ask the engine, ask the store, format the answer). The route table is in routes.cpp; start there.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/line_quota.h"
#include "base/log.h"
#include "base/public_url.h"
#include "base/uuid.h"
#include "base/worker_pool.h"
#include "http/message.h"
#include "hub/amqp/publisher.h"
#include "hub/api/access.h"
#include "hub/api/batch_names.h"
#include "hub/api/brake.h"
#include "hub/api/broken_uploads.h"
#include "hub/api/bulk_work.h"
#include "hub/api/memory_budget.h"
#include "hub/api/problem.h"
#include "hub/api/readiness.h"
#include "hub/api/sessions.h"
#include "hub/api/turns.h"
#include "hub/engine/engine.h"
#include "hub/engine/snapshot.h"
#include "hub/events/chronicle.h"
#include "hub/events/feed.h"
#include "hub/events/last_hour.h"
#include "hub/events/tail.h"
#include "hub/events/teller.h"
#include "hub/host_auth.h"
#include "hub/logs/log_store.h"
#include "hub/packages/blobs.h"
#include "hub/packages/package_import.h"
#include "hub/signalr/connections.h"
#include "hub/store/reads.h"
#include "hub/webhooks/sender.h"
#include "tls/server_context.h"

namespace geres::hub::api {

using http::awaitable;

struct Limits {
  std::int64_t spec_bytes = 1 << 20;
  std::int64_t list_bytes = 64 << 20;
  std::int64_t package_bytes = 1LL << 30;
  std::int64_t file_bytes = 16LL << 30;
  Millis report_every = 5'000;  // how often at least hosts are asked to report
};

struct About {
  std::string store_kind;  // "sqlite"
  std::string store_path;
  std::string data_directory;
  Millis started_at = 0;
  std::string backup_mark;  // a file that each backup replaces
};

class Metrics;
class Live;
class Page;

// Makes ids for calls that have none: a number for this life of the hub, and one for the call.
struct RequestIds {
  std::string prefix = random_hex(5);
  std::atomic<std::uint64_t> last = 0;
};

// The hub's parts as handlers use them. All of them may be called from any thread.
struct Api {
  engine::Engine& engine;
  store::Reads& reads;
  packages::Blobs& blobs;
  WorkerPool& pool;
  WorkerPool& carriers;   // for bytes on their way to and from where they are kept, which may be far away
  WorkerPool& explainer;  // one thread, because explanations are long work and must not take all processors
  WorkerPool& walker;     // one thread, for long walks through the store
  const Clock& clock;
  Access& access;
  events::Feed& feed;
  events::Tail& tail;
  events::Teller* teller;  // set before the first request
  events::LastHour& last_hour;
  signalr::Connections& signalr;
  logs::LogStore& logs;
  BatchNames& batch_names;
  Metrics& metrics;
  Limits limits;
  About about;
  bool access_log = false;
  std::function<bool()> ready;  // whether new work may be accepted
  MemoryBudget large_bodies{{.all = 512LL << 20, .each = 256LL << 20}};
  MemoryBudget large_answers{{.all = 256LL << 20, .each = 64LL << 20}};
  Turns walks = {};
  BrokenUploads broken_uploads = {};
  Brakes brakes = {};
  RequestIds request_ids = {};
  LineQuota stranger_lines = {};  // for log lines about callers without a valid token
  LineQuota caller_lines = {};
  LineQuota trouble_lines = {};
  webhooks::Sender* webhooks = nullptr;        // set before the first request
  const amqp::Publisher* publisher = nullptr;  // likewise; null: there is none
  packages::PackageImport* import = nullptr;   // likewise; null: there is nothing to look into
  const Readiness* readiness = nullptr;        // set before the first request
  const events::Chronicle* chronicle = nullptr;
  std::size_t metrics_tenants = 20;  // how many have series of their own
  PublicUrl public_url = {};
  std::shared_ptr<tls::ServerContext> tls = {};  // null: nothing is served over TLS
  HostAuth host_auth = HostAuth::secret;
  std::string ca_pin = {};       // of the hub's own authority; empty: it has none
  Sessions* sessions = nullptr;  // set before the first request, like what follows
  Live* live = nullptr;
  const Page* page = nullptr;
  std::shared_ptr<BulkWork> bulk_work = std::make_shared<BulkWork>();  // the engine tells it, to its end
  std::string default_tenant = {};  // the tenant of a job that names none, unless the token decides; empty: none
  std::function<std::string()> own_url = {};
};

struct Call {
  Api& api;
  http::Request& request;
  const Identity& who;
  MemoryBudget::RoomPtr body_room = nullptr;    // while a large body is in memory
  MemoryBudget::RoomPtr answer_room = nullptr;  // while a large answer is

  const std::string& capture(std::string_view name) const { return request.capture(name); }
};

using Answered = Result<http::Response>;
using Handle = awaitable<Answered> (*)(Call&);

// ---- in

// Reads the whole body as text, at most `limit` bytes. The content type, if there is one, must be JSON.
awaitable<Result<std::string>> body_text(Call& call, std::int64_t limit);

// Reads the body as a described struct. An absent body counts as {} if `may_be_absent`.
template <class T>
awaitable<Result<T>> body_as(Call& call, bool may_be_absent = false) {
  auto text = co_await body_text(call, call.api.limits.spec_bytes);
  if (!text) co_return text.error();
  if (text->empty() && may_be_absent) co_return T{};
  co_return json::read_text<T>(*text);
}

// {id} of a path: unknownJob if it is not a UUID (badValue: not even similar to one).
Result<Uuid> job_id(const Call& call);

// ---- asking

// Waits for the engine's answer, even if the client goes away.
template <class T>
awaitable<Result<T>> answer_of(http::Future<Result<T>> future) {
  auto answer = co_await future.get();
  if (!answer) co_return fail(Code::unavailable, "the hub is stopping");
  co_return std::move(*answer);
}

// Asks one verb of the engine.
template <class Verb>
awaitable<Result<typename Verb::Out>> ask_engine(Call& call, Verb verb) {
  http::Promise<Result<typename Verb::Out>> promise;
  auto future = promise.future();
  call.api.engine.ask(std::move(verb), engine::Answer<typename Verb::Out>([promise](Result<typename Verb::Out> answer) {
                        promise.set(std::move(answer));
                      }));
  return answer_of(std::move(future));
}

// Lanes and hosts, including the effects of everything this caller did before.
awaitable<Result<engine::SnapshotPtr>> fleet_now(Call& call);

constexpr std::size_t kParseHereMax = 256 * 1024;  // longer bodies are parsed on a worker thread

// Does blocking work (store reads, files) on a worker thread.
template <class Work>
auto blocking(Call& call, Work work) -> awaitable<std::invoke_result_t<Work&>> {
  return http::run_on(call.api.pool, std::move(work));
}

// The same for what may have to wait for a store elsewhere, so that reads of our own never do.
template <class Work>
auto carried(Call& call, Work work) -> awaitable<std::invoke_result_t<Work&>> {
  return http::run_on(call.api.carriers, std::move(work));
}

// ---- out

http::Response json_response(unsigned status, const json::value& body);
http::Response json_text_response(unsigned status, std::string body);      // `body` is JSON already
http::Response list_response(json::array items, const std::string& next);  // {"items": […], "next"?: "…"}
std::string list_text(json::array items, const std::string& next);         // the same, as text

// The job if the caller may see it, else unknownJob.
awaitable<Result<model::Job>> visible_job(Call& call, Uuid id);
// The same for who asks for something of a job: its files, its log.
struct JobGlance {
  std::string tenant;
  model::JobState state = model::JobState::ready;
  int attempt = 0;
  model::FilesLeftOut files_left_out;
};
awaitable<Result<JobGlance>> glance_at_job(Call& call, Uuid id);
std::optional<JobGlance> find_job(Api& api, Uuid id);  // whoever asks; blocking
awaitable<json::object> show_job(Call& call, const model::Job& job);
json::object show_job_here(Api& api, const model::Job& job);  // may block, so on a worker thread
json::object caller_json(const Api& api, const Identity& who);
// The tenant that is used where none is named; empty: none.
std::string tenant_left_out(const Api& api, const Identity& who);
// Reserves memory for an answer that is about to be made, or was made. tooManyRequests if there is none now.
Result<void> make_room(Call& call, std::size_t answer_bytes);

// Logs what this call has changed, with the caller and the call's id after the members.
void note(const Call& call, std::string_view message, std::vector<log::Member> members);

Error no_such_job(std::string_view id);
// Whether the caller may create something for this tenant. The token must cover the tenant, and the tenant must exist,
// unless an admin asks, the tenant is the default for calls that name none, or the token names it.
awaitable<Result<void>> may_write(Call& call, const std::string& tenant, const std::string& field = {});
Error lacks_tenant(const Identity& who, std::string_view tenant, std::string_view field = {});
Error lacks_role(const Identity& who, std::string_view role);

}  // namespace geres::hub::api
