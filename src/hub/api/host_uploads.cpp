// SPDX-License-Identifier: Apache-2.0
// How the artifacts of a lease come to where they are kept: through the hub, taken up again where a connection broke
// off; or, where the store of files is elsewhere, from the host to the store by links that the hub signs.
#include <fmt/format.h>

#include "base/bytes.h"
#include "base/sha256.h"
#include "hub/api/broken_uploads.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "hub/api/transfer.h"
#include "model/names.h"
#include "wire/host/host_protocol.h"

namespace geres::hub::api {
namespace {

constexpr int kPartsMax = 10'000;
constexpr std::size_t kUploadNameMax = 1'000;

// The lease that the path names, if it is this host's; else nullopt.
std::optional<engine::LeaseInfo> lease_of(const Call& call) {
  const auto name = parse_uuid(call.capture("lease"));
  auto lease = name ? call.api.engine.lease(*name) : std::nullopt;
  return lease && lease->host == call.who.id ? lease : std::nullopt;
}

Uuid lease_id(const Call& call) {  // once lease_of has found it
  return *parse_uuid(call.capture("lease"));
}

Error not_current() {
  return fail(Code::stale, "the lease is not current");
}

Result<void> check_digest(const std::string& sha256, const char* field) {
  if (is_sha256_hex(sha256)) return {};
  return fail(Code::badValue, fmt::format("'{}' is no SHA-256", replace_bad_utf8(utf8_prefix(sha256, 80))), field,
              "64 lower-case hex digits");
}

template <class T>
awaitable<Result<T>> body_of_host(Call& call) {
  auto text = co_await body_text(call, call.api.limits.spec_bytes);
  if (!text) co_return text.error();
  co_return json::read_text<T>(*text, json::Unknown::ignored);
}

wire::LinkShape shape_of(const objects::Link& link) {
  wire::LinkShape shape{link.url, {}};
  for (const auto& [name, value] : link.headers) shape.headers.emplace(name, value);
  return shape;
}

http::Response secret_response(const json::value& body) {
  auto response = json_response(200, body);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

Result<void> check(const wire::BeginUpload& shape, std::int64_t most) {
  if (auto ok = check_digest(shape.sha256, "/sha256"); !ok) return ok;
  if (shape.size < 0 || shape.size > most)
    return fail(shape.size < 0 ? Code::badValue : Code::tooLarge, fmt::format("the file has {} bytes", shape.size),
                "/size", fmt::format("at most {}", format_size(most)));
  return {};
}

Result<void> check(const wire::UploadPart& shape) {
  if (auto ok = check_digest(shape.sha256, "/sha256"); !ok) return ok;
  if (shape.number < 1 || shape.number > kPartsMax)
    return fail(Code::badValue, fmt::format("there is no part {}", shape.number), "/number", "1 to 10000");
  if (shape.upload.empty() || shape.upload.size() > kUploadNameMax)
    return fail(Code::badValue, "this names no upload", "/upload", "as the answer to …/uploads has it");
  return {};
}

Result<void> check(const wire::UploadArrived& shape) {
  if (shape.upload.size() > kUploadNameMax) return fail(Code::badValue, "this names no upload", "/upload");
  if (shape.parts.size() > kPartsMax) return fail(Code::tooMany, "there are more than 10000 parts", "/parts");
  for (std::size_t i = 0; i < shape.parts.size(); ++i)
    if (auto ok = check_digest(shape.parts[i].sha256, ""); !ok)
      return fail(Code::badValue, ok.error().message, fmt::format("/parts/{}/sha256", i), ok.error().hint);
  return {};
}

http::Response stored_response(const packages::Blob& blob) {
  const json::object body{{"sha256", std::string_view(blob.sha256)}, {"size", blob.size}};
  return json_response(201, body);
}

}  // namespace

awaitable<Answered> begin_lease_upload(Call& call) {
  const auto shape = co_await body_of_host<wire::BeginUpload>(call);
  if (!shape) co_return shape.error();
  if (auto ok = check(*shape, call.api.limits.file_bytes); !ok) co_return ok.error();
  const auto lease = lease_of(call);
  if (!lease) co_return not_current();
  auto begin = [&] { return call.api.blobs.begin_direct(lease->tenant, shape->sha256, std::uint64_t(shape->size)); };
  const auto direct = co_await carried(call, begin);
  if (!direct) co_return direct.error();
  wire::UploadPlan plan;
  if (*direct) {
    plan.there = (*direct)->there;
    if ((*direct)->link) plan.link = shape_of(*(*direct)->link);
    if (!(*direct)->parts.empty()) plan.upload = (*direct)->parts;
    plan.partBytes = std::int64_t((*direct)->part_bytes);
  } else {
    plan.received =
        std::int64_t(call.api.broken_uploads.received(lease_id(call), shape->sha256, call.api.clock.monotonic()));
  }
  co_return secret_response(json::write(plan));
}

awaitable<Answered> link_lease_part(Call& call) {
  const auto shape = co_await body_of_host<wire::UploadPart>(call);
  if (!shape) co_return shape.error();
  if (auto ok = check(*shape); !ok) co_return ok.error();
  const auto lease = lease_of(call);
  if (!lease) co_return not_current();
  auto sign = [&] {
    return call.api.blobs.link_part(lease->tenant, call.capture("sha256"), shape->upload, shape->number, shape->sha256);
  };
  const auto link = co_await carried(call, sign);
  if (!link) co_return link.error();
  co_return secret_response(json::write(shape_of(*link)));
}

awaitable<Answered> end_lease_upload(Call& call) {
  const auto shape = co_await body_of_host<wire::UploadArrived>(call);
  if (!shape) co_return shape.error();
  if (auto ok = check(*shape); !ok) co_return ok.error();
  const auto lease = lease_of(call);
  if (!lease) co_return not_current();
  std::vector<objects::UploadedPart> parts;
  for (const auto& part : shape->parts) parts.push_back({part.etag, part.sha256});
  auto end = [&] {
    return call.api.blobs.end_direct(lease->tenant, call.capture("sha256"), std::uint64_t(shape->size), shape->upload,
                                     parts);
  };
  const auto blob = co_await carried(call, end);
  if (!blob) co_return blob.error();
  co_return stored_response(*blob);
}

awaitable<Answered> put_lease_file(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"sha256", "from"}); !ok) co_return ok.error();
  if (auto ok = model::check_relative_path(call.capture("path"), ""); !ok) co_return ok.error();
  const auto from = number_parameter(call.request.query, "from", 0, call.api.limits.file_bytes);
  if (!from) co_return from.error();
  const auto lease = lease_of(call);
  if (!lease) co_return not_current();
  const std::string expected = text_parameter(call.request.query, "sha256");
  auto& broken = call.api.broken_uploads;
  std::unique_ptr<packages::Upload> upload;
  if (const auto received = std::uint64_t(from->value_or(0)); received > 0) {
    upload = broken.take(lease_id(call), expected, received, call.api.clock.monotonic());
    if (!upload) co_return fail(Code::notDone, "what had arrived of the file is not kept any more", "from");
  } else {
    auto begun = co_await begin_upload(call, lease->tenant, call.api.limits.file_bytes);
    if (!begun) co_return begun.error();
    upload = std::move(*begun);
  }
  if (auto received = co_await receive_rest(call, *upload, call.api.limits.file_bytes); !received) {
    const bool broke_off = received.error().code == Code::badRequest || received.error().code == Code::timeout ||
                           received.error().code == Code::unavailable;
    if (broke_off && upload->size() > 0 && !expected.empty())
      broken.keep(lease_id(call), expected, std::move(upload), call.api.clock.monotonic());
    co_return received.error();
  }
  if (!lease_of(call)) co_return not_current();
  const auto blob = co_await commit(call, *upload, expected);
  if (!blob) co_return blob.error();
  co_return stored_response(*blob);
}

}  // namespace geres::hub::api
