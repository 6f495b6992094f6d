// SPDX-License-Identifier: Apache-2.0
#include "hub/api/transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "hub/api/query.h"

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

bool plain_in_header(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

}  // namespace

awaitable<Result<std::unique_ptr<packages::Upload>>> receive(Call& call, const std::string& tenant,
                                                             std::int64_t limit) {
  auto& body = call.request.body;
  const auto announced = body.length();
  if (announced && *announced > std::uint64_t(limit))
    co_return fail(Code::tooLarge, fmt::format("the body has {} bytes", *announced), {},
                   fmt::format("at most {}", format_size(limit)));
  auto open = [&] { return call.api.blobs.begin(tenant, announced.value_or(0)); };
  auto upload = co_await blocking(call, open);
  if (!upload) co_return upload.error();
  while (true) {
    auto piece = co_await body.read_some(std::uint64_t(limit));
    if (!piece) co_return piece.error();
    if (piece->empty()) break;
    auto write = [&] { return (*upload)->write(*piece); };
    if (auto ok = co_await blocking(call, write); !ok) co_return ok.error();
  }
  co_return std::move(*upload);
}

awaitable<Result<packages::Blob>> commit(Call& call, packages::Upload& upload, const std::string& expected_sha256) {
  auto end = [&] { return upload.commit(expected_sha256); };
  co_return co_await blocking(call, end);
}

awaitable<Answered> send_blob(Call& call, const std::string& tenant, const std::string& sha256,
                              const std::string& name) {
  auto open = [&] { return call.api.blobs.open(tenant, sha256); };
  auto blob = co_await blocking(call, open);
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

std::string content_disposition(std::string_view name) {
  name = name.substr(name.rfind('/') + 1);
  std::string plain, encoded;
  for (const char c : name) {
    plain += plain_in_header(c) ? c : '_';
    encoded += plain_in_header(c) ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return fmt::format("attachment; filename=\"{}\"; filename*=UTF-8''{}", plain, encoded);
}

}  // namespace geres::hub::api
