// SPDX-License-Identifier: Apache-2.0
// Input files by digest (/v1/files), and the files that jobs left (/v1/jobs/{id}/files).
#include <fmt/format.h>

#include <algorithm>

#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "hub/api/transfer.h"
#include "model/names.h"
#include "wire/api/job_json.h"

namespace geres::hub::api {

awaitable<Answered> list_job_files(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto id = job_id(call);
  if (!id) co_return id.error();
  const auto job = co_await glance_at_job(call, *id);
  if (!job) co_return job.error();
  auto read = [&] { return call.api.reads.files(*id); };
  const auto files = co_await blocking(call, read);
  json::array items;
  for (const auto& file : files) items.push_back(wire::file_json(file));
  json::object body{{"items", std::move(items)}};
  wire::put_files_left_out(body, job->files_left_out);
  co_return json_response(200, body);
}

awaitable<Answered> get_job_file(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto id = job_id(call);
  if (!id) co_return id.error();
  const auto job = co_await glance_at_job(call, *id);
  if (!job) co_return job.error();
  const auto& path = call.capture("path");
  auto read = [&] { return call.api.reads.files(*id); };
  const auto files = co_await blocking(call, read);
  const auto file = std::find_if(files.begin(), files.end(), [&](const auto& f) { return f.path == path; });
  if (file == files.end())
    co_return fail(Code::unknownFile, fmt::format("the job left no file '{}'", path), {},
                   fmt::format("GET /v1/jobs/{}/files lists what it left", id->str()));
  co_return co_await send_blob(call, job->tenant, file->sha256, path);
}

awaitable<Answered> put_file(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"sha256"}); !ok) co_return ok.error();
  const auto& tenant = call.capture("tenant");
  if (auto ok = model::check_name(tenant, "tenant name", ""); !ok) co_return ok.error();
  if (auto ok = co_await may_write(call, tenant); !ok) co_return ok.error();
  auto upload = co_await receive(call, tenant, call.api.limits.file_bytes);
  if (!upload) co_return upload.error();
  const std::string expected = text_parameter(call.request.query, "sha256");
  const auto blob = co_await commit(call, **upload, expected);
  if (!blob) co_return blob.error();
  const json::object body{{"sha256", std::string_view(blob->sha256)}, {"size", blob->size}};
  co_return json_response(201, body);
}

awaitable<Answered> get_file(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"lease"}); !ok) co_return ok.error();
  const auto& tenant = call.capture("tenant");
  const auto& sha256 = call.capture("sha256");
  if (!may_download(call, tenant))
    co_return fail(Code::unknownFile, fmt::format("tenant '{}' has no file {}", tenant, sha256));
  co_return co_await send_blob(call, tenant, sha256, sha256);
}

}  // namespace geres::hub::api
