// SPDX-License-Identifier: Apache-2.0
#include "http/encoding.h"

#include <zlib.h>

#include <algorithm>
#include <cctype>

#include "base/sha256.h"

namespace geres::http {
namespace {

constexpr std::size_t kWorthIt = 1'024;    // bytes
constexpr std::size_t kLarge = 32 * 1024;  // too long for a thread that serves others
constexpr int kThorough = 5, kQuick = 2;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

std::string_view take_item(std::string_view& list, char separator) {
  const auto end = list.find(separator);
  const auto item = trimmed(list.substr(0, end));
  list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
  return item;
}

// Thousandths; a weight that is none counts as 0: not wanted.
int weight_of(std::string_view parameters) {
  while (!parameters.empty()) {
    const auto parameter = take_item(parameters, ';');
    if (parameter.size() < 2 || (parameter[0] | 0x20) != 'q' || parameter[1] != '=') continue;
    const auto text = trimmed(parameter.substr(2));
    if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1') || (text.size() > 1 && text[1] != '.'))
      return 0;
    int thousandths = 0, unit = 100;
    for (const char digit : text.substr(std::min<std::size_t>(2, text.size()))) {
      if (digit < '0' || digit > '9') return 0;
      thousandths += (digit - '0') * unit;
      unit /= 10;
    }
    return text[0] == '1' ? (thousandths == 0 ? 1'000 : 0) : thousandths;
  }
  return 1'000;
}

bool is_named(Coding coding, std::string_view name) {
  return same(name, coding_name(coding)) || (coding == Coding::gzip && same(name, "x-gzip"));
}

std::optional<int> wanted(std::string_view accepted, Coding coding) {
  std::optional<int> any;
  while (!accepted.empty()) {
    auto item = take_item(accepted, ',');
    const auto name = take_item(item, ';');
    const int weight = weight_of(item);
    if (is_named(coding, name)) return weight;
    if (name == "*") any = weight;
  }
  return any;
}

std::optional<std::string_view> header_of(const Response& response, std::string_view name) {
  for (const auto& [other, value] : response.headers)
    if (same(other, name)) return value;
  return std::nullopt;
}

bool is_text(const Response& response) {
  const auto type = header_of(response, "Content-Type").value_or("");
  return type.starts_with("application/json") || type.starts_with("text/") || type.starts_with("application/yaml");
}

// Whether there is a body that may be changed.
bool is_open(const Response& response) {
  return !response.stream && !response.websocket && !response.file && !header_of(response, "Content-Encoding") &&
         !header_of(response, "Cache-Control").value_or("").starts_with("no-store");
}

awaitable<Response> compress(WorkerPool& pool, const std::function<bool(const Request&)>& leave, Request& request,
                             const Handler& next) {
  auto response = co_await next(request);
  if (!is_open(response) || !is_text(response) || leave(request)) co_return response;
  response.headers.emplace_back("Vary", "Accept-Encoding");
  if (response.body.size() < kWorthIt ||
      choose_coding(request.headers.get("Accept-Encoding"), {Coding::gzip}) != Coding::gzip)
    co_return response;
  if (response.body.size() > kLarge) {
    auto work = [&response] { return gzip(response.body, kQuick); };
    response.body = co_await run_on(pool, work);
  } else {
    response.body = gzip(response.body, kThorough);
  }
  response.headers.emplace_back("Content-Encoding", "gzip");
  co_return response;
}

std::string etag_of(std::string_view body) {
  return "W/\"" + sha256_hex(body).substr(0, 16) + "\"";
}

awaitable<Response> validate(WorkerPool& pool, const std::function<bool(const Request&)>& leave, Request& request,
                             const Handler& next) {
  auto response = co_await next(request);
  const bool reads = request.method == Method::get || request.method == Method::head;
  if (!reads || response.status != 200 || !is_open(response) || header_of(response, "ETag") || leave(request) ||
      !header_of(response, "Content-Type").value_or("").starts_with("application/json"))
    co_return response;
  std::string etag;
  if (response.body.size() > kLarge) {
    auto work = [&response] { return etag_of(response.body); };
    etag = co_await run_on(pool, work);
  } else {
    etag = etag_of(response.body);
  }
  response.headers.emplace_back("ETag", etag);
  // Browsers keep it and ask each time whether it is still good.
  if (!header_of(response, "Cache-Control")) response.headers.emplace_back("Cache-Control", "private, no-cache");
  const auto known = request.headers.get("If-None-Match");
  if (!known || !matches_etag(*known, etag)) co_return response;
  response.status = 304;
  response.body.clear();
  std::erase_if(response.headers, [](const auto& header) { return same(header.first, "Content-Type"); });
  response.headers.emplace_back("Vary", "Accept-Encoding");
  co_return response;
}

}  // namespace

std::string_view coding_name(Coding coding) {
  switch (coding) {
    case Coding::gzip:
      return "gzip";
    case Coding::brotli:
      return "br";
    case Coding::identity:
      break;
  }
  return "identity";
}

Coding choose_coding(std::optional<std::string_view> accept_encoding, std::initializer_list<Coding> offered) {
  if (!accept_encoding) return Coding::identity;
  Coding best = Coding::identity;
  // Without a word about it, the plain body is what one gets when nothing else is wanted.
  int best_weight = 0;
  for (const auto coding : offered) {
    const int weight = wanted(*accept_encoding, coding).value_or(0);
    if (weight > best_weight) best = coding, best_weight = weight;
  }
  std::string_view rest = *accept_encoding;
  while (!rest.empty()) {
    auto item = take_item(rest, ',');
    if (same(take_item(item, ';'), "identity") && weight_of(item) > best_weight) return Coding::identity;
  }
  return best;
}

std::string gzip(std::string_view bytes, int level) {
  z_stream stream{};
  constexpr int kGzip = 16 + MAX_WBITS;
  if (::deflateInit2(&stream, level, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  std::string out(::deflateBound(&stream, uLong(bytes.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = uInt(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = uInt(out.size());
  ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

Result<std::string> gunzip(std::string_view bytes, std::size_t most) {
  z_stream stream{};
  constexpr int kGzip = 16 + MAX_WBITS;
  if (::inflateInit2(&stream, kGzip) != Z_OK) throw std::bad_alloc();
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = uInt(bytes.size());
  std::string out;
  int result = Z_OK;
  while (result == Z_OK && out.size() <= most) {
    const auto old = out.size();
    out.resize(old + std::max<std::size_t>(4 * bytes.size(), 4'096));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + old);
    stream.avail_out = uInt(out.size() - old);
    result = ::inflate(&stream, Z_NO_FLUSH);
    out.resize(out.size() - stream.avail_out);
  }
  ::inflateEnd(&stream);
  if (result != Z_STREAM_END || out.size() > most) return fail(Code::badValue, "this is not gzip");
  return out;
}

bool matches_etag(std::string_view if_none_match, std::string_view etag) {
  const auto opaque = [](std::string_view tag) { return tag.starts_with("W/") ? tag.substr(2) : tag; };
  if (trimmed(if_none_match) == "*") return true;
  while (!if_none_match.empty())
    if (opaque(take_item(if_none_match, ',')) == opaque(etag)) return true;
  return false;
}

Around compress_answers(WorkerPool& pool, std::function<bool(const Request&)> leave) {
  return [&pool, leave = std::move(leave)](Request& request, const Handler& next) {
    return compress(pool, leave, request, next);
  };
}

Around validate_answers(WorkerPool& pool, std::function<bool(const Request&)> leave) {
  return [&pool, leave = std::move(leave)](Request& request, const Handler& next) {
    return validate(pool, leave, request, next);
  };
}

}  // namespace geres::http
