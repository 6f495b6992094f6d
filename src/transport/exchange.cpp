// SPDX-License-Identifier: Apache-2.0
#include "transport/exchange.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <system_error>

namespace geres::transport {
namespace {

constexpr std::size_t kBodyBytesMax = 256u << 20;  // of an answer kept in memory

std::size_t give_file(char* data, std::size_t size, std::size_t n, void* from) {
  const ssize_t got = static_cast<Upload*>(from)->read({data, size * n});
  return got < 0 ? CURL_READFUNC_ABORT : std::size_t(got);
}

int rewind_file(void* from, curl_off_t offset, int origin) {
  return origin == SEEK_SET && static_cast<Upload*>(from)->seek(offset) ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_CANTSEEK;
}

bool loopback(std::string_view url) {
  const auto start = url.find("://");
  const auto host = url.substr(start == std::string_view::npos ? 0 : start + 3);
  return host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]");
}

std::string target(const std::string& hub, const Call& call) {
  std::string url = call.other;
  if (url.empty()) {
    url = hub;
    while (url.ends_with('/')) url.pop_back();
    url += call.path;
  }
  char separator = '?';
  for (const auto& [name, value] : call.query) {
    url += separator + escaped(name) + "=" + escaped(value);
    separator = '&';
  }
  return url;
}

bool of_trust(CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM ||
         code == CURLE_SSL_ISSUER_ERROR;
}

bool before_sending(CURLcode code) {
  return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
         of_trust(code);
}

}  // namespace

std::int64_t header_number(const Reply& reply, const std::string& name) {
  std::int64_t number = 0;
  if (const auto found = reply.headers.find(name); found != reply.headers.end())
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), number);
  return number;
}

std::string escaped(std::string_view segment) {
  std::string out;
  for (const char c : segment) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
                       c == '_' || c == '.' || c == '~';
    char hex[4];
    if (plain)
      out += c;
    else
      std::snprintf(hex, sizeof hex, "%%%02X", unsigned(static_cast<unsigned char>(c))), out += hex;
  }
  return out;
}

Try::Try(CURL* easy, const Call& call, const Options& options)
    : easy_(easy), call_(call), options_(options), url_(target(options.hub, call)) {
  hear();
  curl_easy_setopt(easy, CURLOPT_URL, url_.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "geres/" GERES_VERSION);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, long(options.connect_time_max));
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Try::take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Try::take_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  if (!options.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, options.ca_file.c_str());
  if (loopback(url_)) curl_easy_setopt(easy, CURLOPT_PROXY, "");
  if (!call.token.empty()) add_header("Authorization: Bearer " + call.token);
  for (const auto& [name, value] : call.headers) add_header(name + ": " + value);
  set_body();
  add_header("Expect:");  // no round trip for a "100 Continue"
  if (call.method == "HEAD")
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  else
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call.method.c_str());
  // libcurl itself sends a request again that met a dying connection; on a new one it does not.
  const bool write = call.method == "POST" || call.method == "PATCH";
  if (write && !call.repeatable) curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_.get());
  if (!call.upload.empty()) {
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, 60L);
  } else if (!call.sink || call.time_max > 0) {
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, long(call.time_max > 0 ? call.time_max : options.answer_time_max));
  }
}

Try::~Try() {
  curl_easy_reset(easy_);
}

void Try::add_header(const std::string& header) {
  headers_.reset(curl_slist_append(headers_.release(), header.c_str()));
}

void Try::set_body() {
  if (!call_.upload.empty()) {
    upload_.emplace(call_.upload);
    curl_easy_setopt(easy_, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy_, CURLOPT_READFUNCTION, give_file);
    curl_easy_setopt(easy_, CURLOPT_READDATA, &*upload_);
    curl_easy_setopt(easy_, CURLOPT_SEEKFUNCTION, rewind_file);
    curl_easy_setopt(easy_, CURLOPT_SEEKDATA, &*upload_);
    if (const auto size = upload_->size()) curl_easy_setopt(easy_, CURLOPT_INFILESIZE_LARGE, curl_off_t(*size));
    curl_easy_setopt(easy_, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
  } else if (call_.body) {
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, call_.body->data());
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(call_.body->size()));
  } else {
    return;
  }
  add_header("Content-Type: " + call_.content_type);
}

void Try::hear() {
  heard_at_ = SystemClock().monotonic();
}

bool Try::good() const {
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  return status >= 200 && status < 300;
}

std::size_t Try::take_body(char* data, std::size_t, std::size_t n, void* to) {
  auto& self = *static_cast<Try*>(to);
  self.hear();
  if (self.call_.sink && self.good()) {
    const auto take = self.call_.sink({data, n});
    if (take == Take::later) {
      self.paused_ = true;
      return CURL_WRITEFUNC_PAUSE;
    }
    self.got_bytes_ = true;
    self.enough_ = take == Take::enough;
    return self.enough_ ? 0 : n;
  }
  self.got_bytes_ = true;
  if (self.reply_.body.size() + n > kBodyBytesMax) {
    self.too_large_ = true;
    return 0;
  }
  self.reply_.body.append(data, n);
  return n;
}

std::size_t Try::take_header(char* data, std::size_t, std::size_t n, void* to) {
  auto& self = *static_cast<Try*>(to);
  self.hear();
  auto& headers = self.reply_.headers;
  std::string line(data, n);
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.pop_back();
  if (line.starts_with("HTTP/")) headers.clear();
  const auto colon = line.find(':');
  if (colon == std::string::npos) return n;
  std::string name = line.substr(0, colon);
  for (auto& c : name)
    if (c >= 'A' && c <= 'Z') c = char(c + 32);
  const auto value = line.find_first_not_of(' ', colon + 1);
  headers[name] = value == std::string::npos ? "" : line.substr(value);
  return n;
}

Failure Try::broken(CURLcode code, unsigned status) {
  Failure failure{Failure::Kind::unreachable, 0, {}, nullptr};
  failure.error = fail(Code::unavailable, curl_easy_strerror(code));
  if (upload_ && upload_->changed())
    failure.error = fail(Code::unavailable, "'" + call_.upload.string() + "' became shorter while it was sent");
  if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
    failure.error = fail(Code::badValue, "'" + url_ + "' is not an http or https address");
  if (too_large_) {
    failure.kind = Failure::Kind::foreign, failure.status = status;
    failure.error = fail(Code::tooLarge, "the answer is larger than 256 MiB");
  }
  if (of_trust(code)) failure.kind = Failure::Kind::untrusted;
  return failure;
}

Try::End Try::end(CURLcode code) {
  long status_code = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status_code);
  const auto status = unsigned(status_code);
  reply_.status = status;
  long sent = 0;
  curl_easy_getinfo(easy_, CURLINFO_REQUEST_SIZE, &sent);
  End end{Failure{}, sent == 0 || before_sending(code), status > 0, 0};
  const auto retry_after = reply_.headers.find("retry-after");
  if (retry_after != reply_.headers.end())
    end.retry_after = std::clamp(std::atoll(retry_after->second.c_str()), 0LL, 10LL) * 1'000;
  if (code != CURLE_OK && !enough_) {
    // An answer that came whole before the connection broke (a refused upload) counts.
    if (status >= 400 && !too_large_ && !reply_.body.empty())
      end.answer = read_problem(status, reply_.body);
    else
      end.answer = broken(code, status);
  } else if (status >= 200 && status < 300) {
    end.answer = std::move(reply_);
  } else {
    end.answer = read_problem(status, reply_.body);
  }
  return end;
}

}  // namespace geres::transport
