// SPDX-License-Identifier: Apache-2.0
#include "hub/api/page.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "base/sha256.h"
#include "http/encoding.h"

namespace geres::hub::api {
namespace {

using http::Coding;

constexpr std::size_t kFileMax = 16 << 20;
constexpr std::string_view kBase = "<base href=\"/\">";

// Without 'unsafe-inline': whatever text a job brings, it is never code here.
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

// Paths below these are never pages: who asks for one that is not there is told so.
bool is_ours(const std::vector<std::string>& path) {
  constexpr std::array<std::string_view, 6> kOurs{"v1", "auth", "assets", "api", "hubs", "metrics"};
  return !path.empty() && std::find(kOurs.begin(), kOurs.end(), path.front()) != kOurs.end();
}

bool reads(const http::Request& request) {
  return request.method == http::Method::get || request.method == http::Method::head;
}

bool shows_pages(const http::Request& request) {
  return request.headers.get("Accept").value_or("").find("text/html") != std::string_view::npos;
}

http::awaitable<http::Response> page_around(const Page& page, http::Request& request, const http::Handler& next) {
  auto response = co_await next(request);
  const bool unknown = response.status == 404 && request.route.empty();
  if (!unknown || !reads(request) || is_ours(request.path) || !shows_pages(request)) co_return response;
  co_return page.index(request);
}

http::awaitable<http::Response> without_prefix(const PublicUrl& own, http::Request& request,
                                               const http::Handler& next) {
  auto& path = request.path;
  const auto& prefix = own.segments;
  const bool has = path.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), path.begin());
  if (has) path.erase(path.begin(), path.begin() + std::ptrdiff_t(prefix.size()));
  if (path.empty()) path.emplace_back();
  auto response = co_await next(request);
  for (auto& [name, value] : response.headers)
    if (name == "Location" && value.starts_with('/')) value = own.base() + value.substr(1);
  co_return response;
}

}  // namespace

Page::Page(std::span<const PageFile> files, const PublicUrl& own, bool strict) : strict_(strict) {
  for (const auto& file : files) files_[file.path] = &file;
  if (files_.empty()) return;
  const auto found = files_.find("index.html");
  if (found == files_.end()) throw std::logic_error("a page without index.html");
  const auto& index = *found->second;
  index_ = {index.type, index.etag, index.gzip, index.brotli};
  if (own.segments.empty()) return;
  auto html = http::gunzip(index.gzip, kFileMax).value();
  const auto at = html.find(kBase);
  if (at == std::string::npos) throw std::logic_error("an index.html without " + std::string(kBase));
  html.replace(at, kBase.size(), "<base href=\"" + own.base() + "\">");
  index_gzip_ = http::gzip(html, 9);
  index_etag_ = "\"" + sha256_hex(html).substr(0, 16) + "\"";
  index_ = {index.type, index_etag_, index_gzip_, {}};
}

http::Response Page::answer(const http::Request& request, const Body& body) {
  http::Response response;
  response.headers = {{"ETag", std::string(body.etag)},
                      {"Vary", "Accept-Encoding"},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"}};
  const auto known = request.headers.get("If-None-Match");
  if (known && http::matches_etag(*known, body.etag)) {
    response.status = 304;
    return response;
  }
  response.headers.emplace_back("Content-Type", body.type);
  const auto accepted = request.headers.get("Accept-Encoding");
  const auto coding = body.brotli.empty() ? http::choose_coding(accepted, {Coding::gzip})
                                          : http::choose_coding(accepted, {Coding::brotli, Coding::gzip});
  if (coding == Coding::identity)
    response.body = http::gunzip(body.gzip, kFileMax).value();
  else
    response.body = std::string(coding == Coding::brotli ? body.brotli : body.gzip);
  if (coding != Coding::identity) response.headers.emplace_back("Content-Encoding", http::coding_name(coding));
  return response;
}

http::Response Page::index(const http::Request& request) const {
  auto response = answer(request, index_);
  response.headers.emplace_back("Cache-Control", "no-cache");
  response.headers.emplace_back("Content-Security-Policy", kPolicy);
  if (strict_ && request.tls) response.headers.emplace_back("Strict-Transport-Security", "max-age=31536000");
  return response;
}

std::optional<http::Response> Page::asset(const http::Request& request, std::string_view path) const {
  const auto found = files_.find(path);
  if (found == files_.end()) return std::nullopt;
  const auto& file = *found->second;
  auto response = answer(request, {file.type, file.etag, file.gzip, file.brotli});
  response.headers.emplace_back("Cache-Control", "public, max-age=31536000, immutable");
  return response;
}

http::Around Page::around() const {
  return [this](http::Request& request, const http::Handler& next) { return page_around(*this, request, next); };
}

http::Around take_prefix_off(PublicUrl own) {
  return [own = std::make_shared<const PublicUrl>(std::move(own))](http::Request& request, const http::Handler& next) {
    return without_prefix(*own, request, next);
  };
}

}  // namespace geres::hub::api
