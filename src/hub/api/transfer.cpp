// SPDX-License-Identifier: Apache-2.0
#include "hub/api/transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/content_disposition.h"
#include "hub/api/query.h"
#include "transport/call.h"

namespace geres::hub::api {
namespace {

struct Kind {
  std::string_view extension;
  std::string_view type;
};
// Pictures, sounds, text and archives. HTML, SVG and scripts are missing on purpose: a job's output must not run in a
// reader's browser.
constexpr std::array kKinds{
    Kind{"txt", "text/plain; charset=utf-8"},
    Kind{"log", "text/plain; charset=utf-8"},
    Kind{"csv", "text/csv; charset=utf-8"},
    Kind{"json", "application/json"},
    Kind{"png", "image/png"},
    Kind{"jpg", "image/jpeg"},
    Kind{"jpeg", "image/jpeg"},
    Kind{"gif", "image/gif"},
    Kind{"webp", "image/webp"},
    Kind{"tif", "image/tiff"},
    Kind{"tiff", "image/tiff"},
    Kind{"pdf", "application/pdf"},
    Kind{"zip", "application/zip"},
    Kind{"gz", "application/gzip"},
    Kind{"mp4", "video/mp4"},
    Kind{"webm", "video/webm"},
    Kind{"mp3", "audio/mpeg"},
    Kind{"wav", "audio/wav"},
};

}  // namespace

awaitable<Result<std::unique_ptr<packages::Upload>>> begin_upload(Call& call, const std::string& tenant,
                                                                  std::int64_t limit) {
  const auto announced = call.request.body.length();
  if (announced && *announced > std::uint64_t(limit))
    co_return fail(Code::tooLarge, fmt::format("the body has {} bytes", *announced), {},
                   fmt::format("at most {}", format_size(limit)));
  auto open = [&] { return call.api.blobs.begin(tenant, announced.value_or(0)); };
  co_return co_await blocking(call, open);
}

awaitable<Result<void>> receive_rest(Call& call, packages::Upload& upload, std::int64_t limit) {
  const auto room = std::uint64_t(limit) - std::min(upload.size(), std::uint64_t(limit));
  while (true) {
    auto piece = co_await call.request.body.read_some(room);
    if (!piece) co_return piece.error();
    if (piece->empty()) co_return Result<void>();
    auto write = [&] { return upload.write(*piece); };
    if (auto ok = co_await blocking(call, write); !ok) co_return ok.error();
  }
}

awaitable<Result<std::unique_ptr<packages::Upload>>> receive(Call& call, const std::string& tenant,
                                                             std::int64_t limit) {
  auto upload = co_await begin_upload(call, tenant, limit);
  if (!upload) co_return upload.error();
  if (auto received = co_await receive_rest(call, **upload, limit); !received) co_return received.error();
  co_return std::move(*upload);
}

awaitable<Result<packages::Blob>> commit(Call& call, packages::Upload& upload, const std::string& expected_sha256) {
  auto end = [&] { return upload.commit(expected_sha256); };
  co_return co_await carried(call, end);
}

namespace {

// For callers that say that they follow: where the store itself gives the bytes. Our own clients do; browsers get them
// from us, because a link in an address bar would be a secret in sight.
std::optional<objects::Link> link_to(Call& call, const std::string& tenant, const std::string& sha256,
                                     const std::string& name) {
  if (call.request.headers.get(transport::kLinksHeader) != transport::kFollowsLinks) return std::nullopt;
  objects::LinkWish wish;
  wish.file_name = name.substr(name.rfind('/') + 1);
  wish.content_type = content_type_of(name);
  auto link = call.api.blobs.link(tenant, sha256, wish);
  if (!link || !link->headers.empty() || !call.api.blobs.has(tenant, sha256)) return std::nullopt;
  return link;
}

}  // namespace

awaitable<Answered> send_blob(Call& call, const std::string& tenant, const std::string& sha256,
                              const std::string& name) {
  auto look = [&] { return link_to(call, tenant, sha256, name); };
  if (const auto link = co_await carried(call, look)) {
    http::Response elsewhere;
    elsewhere.status = 307;
    elsewhere.headers.emplace_back("Location", link->url);
    elsewhere.headers.emplace_back("ETag", "\"" + sha256 + "\"");
    elsewhere.headers.emplace_back("Cache-Control", "no-store");
    co_return elsewhere;
  }
  auto open = [&] { return call.api.blobs.open(tenant, sha256); };
  auto blob = co_await carried(call, open);
  if (!blob) co_return blob.error();
  http::Response response;
  response.file = http::FileBody{std::make_shared<Fd>(std::move(blob->fd)), 0, blob->size};
  response.headers.emplace_back("Content-Type", content_type_of(name));
  response.headers.emplace_back("Content-Disposition", content_disposition(name));
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Content-Security-Policy", "sandbox; default-src 'none'");
  response.headers.emplace_back("ETag", "\"" + sha256 + "\"");
  co_return response;
}

bool may_download(const Call& call, const std::string& tenant) {
  if (call.who.kind == Identity::Kind::token) return call.who.sees(tenant);
  const auto name = parse_uuid(text_parameter(call.request.query, "lease"));
  const auto lease = name ? call.api.engine.lease(*name) : std::nullopt;
  return lease && lease->host == call.who.id && lease->tenant == tenant;
}

std::string_view content_type_of(std::string_view name) {
  const auto dot = name.rfind('.');
  if (dot != std::string_view::npos) {
    std::string extension(name.substr(dot + 1));
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    for (const auto& kind : kKinds)
      if (kind.extension == extension) return kind.type;
  }
  return "application/octet-stream";
}

}  // namespace geres::hub::api
