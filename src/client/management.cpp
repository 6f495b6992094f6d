// SPDX-License-Identifier: Apache-2.0
// Submitting, cancelling, redriving and changing jobs; batches, packages, input files, tenants.
#include "base/file.h"
#include "client/ask.h"
#include "client/write.h"
#include "geres/client.h"
#include "package/archive.h"

namespace geres::client {
namespace {

transport::Call harmless(transport::Call call) {
  call.repeatable = true;
  return call;
}

std::string batch_path(std::string_view id_or_name, std::string_view verb = {}) {
  return "/v1/batches/" + transport::escaped(id_or_name) + std::string(verb);
}

transport::Call batch_verb(std::string_view id_or_name, std::string_view verb, std::string_view tenant) {
  transport::Call call;
  call.method = "POST";
  call.path = batch_path(id_or_name, verb);
  add(call.query, "tenant", tenant);
  return harmless(std::move(call));
}

std::string package_path(std::string_view tenant, std::string_view name) {
  return "/v1/packages/" + transport::escaped(tenant) + "/" + transport::escaped(name);
}

transport::Call upload(std::string path, const std::filesystem::path& file, std::string content_type) {
  transport::Call call;
  call.method = "PUT";
  call.path = std::move(path);
  call.upload = file;
  call.content_type = std::move(content_type);
  return call;
}

constexpr const char* kPacked = "package.zip";

// Packs the directory into a ZIP in a temporary directory.
Answer<std::shared_ptr<TemporaryDirectory>> pack(const std::filesystem::path& directory) {
  try {
    auto temporary = std::make_shared<TemporaryDirectory>();
    const auto packed = package::pack(directory, temporary->path() / kPacked);
    if (packed) return temporary;
    const auto& error = packed.error();
    return refused_failure(error.code, "'" + directory.string() + "' cannot be packed: " + error.message, error.field,
                           error.hint);
  } catch (const std::exception& trouble) {  // trouble with the disk
    return refused_failure(Code::unknownFile, "'" + directory.string() + "' cannot be packed: " + trouble.what(), "");
  }
}

// A bulk verb may take long.
constexpr Millis kBulkMax = 600'000;

transport::Call bulk(std::string path, const json::value& body, bool dry_run) {
  auto call = send("POST", std::move(path), body);
  if (dry_run) call.query.emplace_back("dryRun", "true");
  call.time_max = kBulkMax;
  return call;
}

std::optional<Failure> not_for_cancel(const JobFilter& filter) {
  if (filter.reason.empty()) return std::nullopt;
  return refused_failure(Code::notSupported, "jobs to cancel have not failed, so they have no reason", "/reason");
}

json::object cancel_body(const JobFilter& filter, const CancelOptions& options) {
  auto body = write_filter(filter);
  for (auto& member : write_cancel(options)) body[member.key()] = member.value();
  return body;
}

}  // namespace

Pending<Job> Async::submit(const JobSpec& spec) {
  const auto body = write_spec(spec);
  if (!body) return fail_at_once<Job>(core_, body.error());
  Promise<Job> promise(core_);
  core_->run([core = core_, promise, call = harmless(send("POST", "/v1/jobs", *body)), key = spec.key]() mutable {
    call.headers.emplace_back("Idempotency-Key", key.empty() ? core->new_key() : key);
    core->call(promise.task(), std::move(call), [promise](Answer<transport::Reply> answer) {
      const auto document = json_of(answer);
      document ? promise.keep(read_job(*document)) : promise.fail(document.error());
    });
  });
  return promise.pending();
}

Pending<std::vector<std::string>> Async::submit(std::span<const JobSpec> specs, std::string key) {
  using Ids = std::vector<std::string>;
  json::array body;
  for (const auto& spec : specs) {
    auto one = write_spec(spec, "/" + std::to_string(body.size()));
    if (!one) return fail_at_once<Ids>(core_, one.error());
    body.push_back(std::move(*one));
  }
  Promise<Ids> promise(core_);
  core_->run([core = core_, promise, call = harmless(send("POST", "/v1/jobs", body)), key = std::move(key)]() mutable {
    call.headers.emplace_back("Idempotency-Key", key.empty() ? core->new_key() : key);
    core->call(promise.task(), std::move(call), [promise](Answer<transport::Reply> answer) {
      const auto document = json_of(answer);
      document ? promise.keep(read_ids(*document)) : promise.fail(document.error());
    });
  });
  return promise.pending();
}

Pending<Job> Async::cancel(std::string_view job, const CancelOptions& options) {
  return ask<Job>(core_, harmless(send("POST", job_path(job, "/cancel"), write_cancel(options))), read_job);
}

Pending<Affected> Async::cancel(const JobFilter& filter, const CancelOptions& options) {
  if (auto wrong = not_for_cancel(filter)) return fail_at_once<Affected>(core_, *wrong);
  return ask<Affected>(core_, harmless(bulk("/v1/jobs/cancel", cancel_body(filter, options), false)), read_affected);
}

Pending<Affected> Async::would_cancel(const JobFilter& filter) {
  if (auto wrong = not_for_cancel(filter)) return fail_at_once<Affected>(core_, *wrong);
  return ask<Affected>(core_, harmless(bulk("/v1/jobs/cancel", write_filter(filter), true)), read_affected);
}

Pending<Job> Async::redrive(std::string_view job) {
  return ask<Job>(core_, send("POST", job_path(job, "/redrive"), json::object()), read_job);
}

Pending<Affected> Async::redrive(const JobFilter& filter) {
  return ask<Affected>(core_, bulk("/v1/jobs/redrive", write_filter(filter), false), read_affected);
}

Pending<Job> Async::dismiss(std::string_view job) {
  return ask<Job>(core_, harmless(send("POST", job_path(job, "/dismiss"), json::object())), read_job);
}

Pending<Affected> Async::dismiss(const JobFilter& filter) {
  return ask<Affected>(core_, harmless(bulk("/v1/jobs/dismiss", write_filter(filter), false)), read_affected);
}

Pending<Affected> Async::would_redrive(const JobFilter& filter) {
  return ask<Affected>(core_, harmless(bulk("/v1/jobs/redrive", write_filter(filter), true)), read_affected);
}

Pending<Job> Async::change(std::string_view job, const JobChange& change) {
  return ask<Job>(core_, harmless(send("PATCH", job_path(job), write_change(change))), read_job);
}

Pending<Batch> Async::create_batch(const BatchSpec& spec) {
  return ask<Batch>(core_, send("POST", "/v1/batches", write_batch(spec)), read_batch);
}

Pending<Batch> Async::batch(std::string_view id_or_name, std::string_view tenant) {
  transport::Query query;
  add(query, "tenant", tenant);
  return ask<Batch>(core_, get(batch_path(id_or_name), std::move(query)), read_batch);
}

Pending<Page<Batch>> Async::batches_page(const BatchFilter& filter, std::string_view cursor, int size) {
  transport::Query query{{"limit", std::to_string(size)}};
  add(query, "tenant", filter.tenant);
  add(query, "state", filter.state);
  add(query, "name", filter.name);
  add(query, "cursor", cursor);
  return ask<Page<Batch>>(core_, get("/v1/batches", std::move(query)),
                          [](const json::value& page) { return read_page(page, read_batch); });
}

Pending<Batch> Async::close_batch(std::string_view id_or_name, std::string_view tenant) {
  return ask<Batch>(core_, batch_verb(id_or_name, "/close", tenant), read_batch);
}

Pending<Batch> Async::cancel_batch(std::string_view id_or_name, std::string_view tenant, const CancelOptions& options) {
  auto call = batch_verb(id_or_name, "/cancel", tenant);
  call.body = boost::json::serialize(write_cancel(options));
  return ask<Batch>(core_, std::move(call), read_batch);
}

Pending<std::int64_t> Async::delete_batch(std::string_view id_or_name, std::string_view tenant) {
  transport::Call call;
  call.method = "DELETE";
  call.path = batch_path(id_or_name, "");
  add(call.query, "tenant", tenant);
  return ask<std::int64_t>(core_, std::move(call), [](const json::value& v) { return integer_of(v, "deleted"); });
}

Pending<Batch> Async::pause_batch(std::string_view id_or_name, std::string_view tenant) {
  return ask<Batch>(core_, batch_verb(id_or_name, "/pause", tenant), read_batch);
}

Pending<Batch> Async::resume_batch(std::string_view id_or_name, std::string_view tenant) {
  return ask<Batch>(core_, batch_verb(id_or_name, "/resume", tenant), read_batch);
}

Pending<Package> Async::push_package(std::string_view tenant, std::string_view name,
                                     const std::filesystem::path& zip_or_directory) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(zip_or_directory, ignored))
    return ask<Package>(core_, upload(package_path(tenant, name), zip_or_directory, "application/zip"), read_package);
  const auto packed = pack(zip_or_directory);
  if (!packed) return fail_at_once<Package>(core_, packed.error());
  // The ZIP exists until the call is over.
  return ask<Package>(core_, upload(package_path(tenant, name), (*packed)->path() / kPacked, "application/zip"),
                      [kept = *packed](const json::value& v) { return read_package(v); });
}

Pending<Page<Package>> Async::packages_page(std::string_view tenant, std::string_view name, std::string_view cursor,
                                            int size) {
  transport::Query query{{"limit", std::to_string(size)}};
  add(query, "tenant", tenant);
  add(query, "name", name);
  add(query, "cursor", cursor);
  return ask<Page<Package>>(core_, get("/v1/packages", std::move(query)),
                            [](const json::value& page) { return read_page(page, read_package); });
}

Pending<std::int64_t> Async::delete_package(std::string_view tenant, std::string_view name,
                                            std::optional<int> version) {
  transport::Call call;
  call.method = "DELETE";
  call.path = package_path(tenant, name);
  if (version) call.query.emplace_back("version", std::to_string(*version));
  return ask<std::int64_t>(core_, std::move(call), [](const json::value& v) { return integer_of(v, "deleted"); });
}

Pending<Stored> Async::upload_input(std::string_view tenant, const std::filesystem::path& file) {
  return ask<Stored>(core_, upload("/v1/files/" + transport::escaped(tenant), file, "application/octet-stream"),
                     read_stored);
}

Pending<Tenant> Async::tenant(std::string_view name) {
  return ask<Tenant>(core_, get("/v1/tenants/" + transport::escaped(name)), read_tenant);
}

Pending<Tenant> Async::set_tenant(std::string_view name, const TenantSettings& settings) {
  return ask<Tenant>(core_, send("PUT", "/v1/tenants/" + transport::escaped(name), write_tenant(settings)),
                     read_tenant);
}

Pending<Info> Async::info() {
  return ask<Info>(core_, get("/v1/info"), read_info);
}

}  // namespace geres::client
