// SPDX-License-Identifier: Apache-2.0
#include "transport/exchange.h"

#include <openssl/ssl.h>

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "base/duration.h"

namespace geres::transport {
namespace {

constexpr std::size_t kHeaderBytesMax = 64 << 10;  // of an answer
// Of the body of an answer other than 2xx, of which the status is what matters.
constexpr std::size_t kRefusalBytesMax = 1 << 20;
constexpr Millis kUploadSilenceMax = 60'000;

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

}  // namespace

std::int64_t header_number(const Reply& reply, const std::string& name) {
  std::int64_t number = 0;
  if (const auto found = reply.headers.find(name); found != reply.headers.end())
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), number);
  return number;
}

std::optional<Millis> http_time(const std::string& text) {
  const auto seconds = curl_getdate(text.c_str(), nullptr);
  return seconds < 0 ? std::nullopt : std::optional<Millis>(Millis(seconds) * 1'000);
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
    : easy_(easy),
      call_(call),
      options_(options),
      url_(target(options.hub, call)),
      server_check_(call.elsewhere || !options.ca_file.empty() ? std::string() : options.ca_pin) {
  hear();
  set_network();
  set_time_limits();
  curl_easy_setopt(easy, CURLOPT_URL, url_.c_str());
  curl_easy_setopt(easy, CURLOPT_USERAGENT, options.agent.c_str());
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, network_);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Try::take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Try::take_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  if (!call.token.empty()) add_header("Authorization: Bearer " + call.token);
  for (const auto& [name, value] : call.headers) add_header(name + ": " + value);
  if (call.follow) add_header(std::string(kLinksHeader) + ": " + kFollowsLinks);
  set_body();
  add_header("Expect:");  // prevents the round trip for a "100 Continue"
  if (call.method == "HEAD")
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  else
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call.method.c_str());
  // libcurl by itself repeats a request that met a dying connection, but not on a new connection.
  const bool write = call.method == "POST" || call.method == "PATCH";
  if (write && !call.repeatable) curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_.get());
}

Try::~Try() {
  curl_easy_reset(easy_);
}

void Try::set_network() {
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy_, CURLOPT_NETRC, long(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPIDLE, 10L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPINTVL, 5L);
  if (options_.http1) curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, long(CURL_HTTP_VERSION_1_1));
  if (!options_.proxies || loopback(url_)) curl_easy_setopt(easy_, CURLOPT_PROXY, "");
  set_tls();
  if (!call_.refuse) return;
  curl_easy_setopt(easy_, CURLOPT_OPENSOCKETFUNCTION, &Try::open_socket);
  curl_easy_setopt(easy_, CURLOPT_OPENSOCKETDATA, this);
}

void Try::set_tls() {
  curl_easy_setopt(easy_, CURLOPT_SSL_CTX_FUNCTION, &Try::set_trust);
  curl_easy_setopt(easy_, CURLOPT_SSL_CTX_DATA, this);
  if (!options_.ca_file.empty() && !call_.elsewhere) curl_easy_setopt(easy_, CURLOPT_CAINFO, options_.ca_file.c_str());
  if (options_.certificate.empty() || call_.elsewhere) return;
  curl_easy_setopt(easy_, CURLOPT_SSLCERT, options_.certificate.c_str());
  curl_easy_setopt(easy_, CURLOPT_SSLKEY, options_.key.c_str());
}

void Try::set_time_limits() {
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, long(options_.connect_time_max));
  if (call_.uploads()) {
    const Millis silence = call_.silence_max > 0 ? call_.silence_max : kUploadSilenceMax;
    curl_easy_setopt(easy_, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy_, CURLOPT_LOW_SPEED_TIME, long(silence / 1'000));
  } else if (!call_.sink || call_.time_max > 0) {
    curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS, long(call_.time_max > 0 ? call_.time_max : options_.answer_time_max));
  }
}

// `address` is the one about to be connected to, whatever the name resolves to at other times.
curl_socket_t Try::open_socket(void* to, curlsocktype purpose, curl_sockaddr* address) {
  auto& self = *static_cast<Try*>(to);
  auto why = purpose == CURLSOCKTYPE_IPCXN ? self.call_.refuse(&address->addr) : "it is not for a connection";
  if (why.empty()) return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  self.refused_ = std::move(why);
  return CURL_SOCKET_BAD;
}

CURLcode Try::set_trust(CURL*, void* context, void* to) {
  auto& self = *static_cast<Try*>(to);
  auto* const tls = static_cast<SSL_CTX*>(context);
  if (self.options_.trust && !self.options_.trust(context)) return CURLE_SSL_CACERT_BADFILE;
  const bool more = self.call_.elsewhere && !self.options_.ca_file.empty();
  if (more && SSL_CTX_load_verify_file(tls, self.options_.ca_file.c_str()) != 1) return CURLE_SSL_CACERT_BADFILE;
  self.server_check_.watch(tls);
  return CURLE_OK;
}

void Try::add_header(const std::string& header) {
  headers_.reset(curl_slist_append(headers_.release(), header.c_str()));
}

void Try::set_body() {
  if (call_.uploads()) {
    call_.upload_fd ? upload_.emplace(call_.upload_fd, call_.upload_bytes, call_.upload_from)
                    : upload_.emplace(call_.upload);
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
  if (!call_.content_type.empty()) add_header("Content-Type: " + call_.content_type);
}

void Try::hear() {
  heard_at_ = SystemClock().monotonic();
}

unsigned Try::status() const {
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  return unsigned(status);
}

// Tells libcurl that nothing more is wanted.
std::size_t Try::take_enough() {
  enough_ = true;
  return 0;
}

std::size_t Try::take_too_much(std::string words) {
  too_large_ = std::move(words);
  return 0;
}

// Whether the caller wants the body of an answer with these headers; asked once.
bool Try::admitted() {
  if (!call_.head || headed_) return true;
  headed_ = true;
  reply_.status = status();
  return call_.head(reply_);
}

std::size_t Try::take_body(char* data, std::size_t, std::size_t n, void* to) {
  auto& self = *static_cast<Try*>(to);
  self.hear();
  const bool good = verdict(self.status()) == Verdict::good;
  if (self.call_.sink && good) {
    if (!self.admitted()) return self.take_enough();
    const auto take = self.call_.sink({data, n});
    if (take == Take::later) {
      self.paused_ = true;
      return CURL_WRITEFUNC_PAUSE;
    }
    self.got_bytes_ = true;
    return take == Take::enough ? self.take_enough() : n;
  }
  self.got_bytes_ = true;
  const auto most = self.options_.answer_bytes_max;
  self.body_bytes_ += n;
  const bool fits = self.body_bytes_ <= (good ? most : std::min(most, kRefusalBytesMax));
  if (!fits && (!good || self.call_.status_only)) return self.take_enough();
  if (!fits) return self.take_too_much(fmt::format("the answer is larger than {}", format_size(std::int64_t(most))));
  if (!self.call_.status_only) self.reply_.body.append(data, n);
  return n;
}

std::size_t Try::take_header(char* data, std::size_t, std::size_t n, void* to) {
  auto& self = *static_cast<Try*>(to);
  self.hear();
  self.header_bytes_ += n;
  if (self.header_bytes_ > kHeaderBytesMax) return self.take_too_much("the answer's header does not end");
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

// Who was called is in the message, because it may be a link that the hub gave.
Error Try::untrusted() {
  const auto begin = url_.find("://") + 3;
  const auto host = url_.substr(begin, url_.find_first_of("/?", begin) - begin);
  if (auto why = server_check_.refusal(host)) return std::move(*why);
  return fail(Code::unavailable, network_[0] != 0 ? network_ : "the certificates that were to be used cannot be read");
}

Failure Try::broken(CURLcode code) {
  Failure failure{Failure::Kind::unreachable, 0, {}, nullptr};
  failure.error = fail(Code::unavailable, curl_easy_strerror(code));
  if (upload_ && upload_->changed())
    failure.error = fail(Code::unavailable, "'" + call_.upload.string() + "' became shorter while it was sent");
  if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
    failure.error = fail(Code::badValue, "'" + url_ + "' is not an http or https address");
  if (code == CURLE_SSL_CONNECT_ERROR)
    failure.error =
        fail(Code::unavailable, std::string_view(network_).find("wrong version number") != std::string_view::npos
                                    ? "what answers there speaks no TLS; is it http:// instead of https://?"
                                    : network_);
  if (!refused_.empty()) failure.error = fail(Code::forbidden, refused_);
  if (!too_large_.empty()) {
    failure.kind = Failure::Kind::foreign, failure.status = status();
    failure.error = fail(Code::tooLarge, too_large_);
  }
  if (of_trust(code)) failure.kind = Failure::Kind::untrusted, failure.error = untrusted();
  if (failure.error.message == curl_easy_strerror(code)) failure.network = network_;
  return failure;
}

Answer<Reply> Try::end(CURLcode code) {
  reply_.status = status();
  const bool whole = code == CURLE_OK || enough_;
  if (whole && verdict(reply_.status) == Verdict::good) return std::move(reply_);
  // A refusal is valid although the connection broke, which happens when the hub refuses an upload.
  const bool told = whole || (reply_.status >= 400 && !reply_.body.empty());
  auto failure = told ? read_problem(reply_.status, reply_.body) : broken(code);
  long sent = 0;
  curl_off_t asked = 0;
  curl_easy_getinfo(easy_, CURLINFO_REQUEST_SIZE, &sent);
  curl_easy_getinfo(easy_, CURLINFO_RETRY_AFTER, &asked);
  failure.unseen = sent == 0 || of_trust(code);
  failure.late = code == CURLE_OPERATION_TIMEDOUT;
  failure.status_line = reply_.status;
  if (failure.kind != Failure::Kind::problem) {
    failure.headers = std::move(reply_.headers);
    failure.body = reply_.body.substr(0, kForeignBytesMax);
  }
  failure.retry_after = std::clamp<Millis>(asked, 0, options_.retry_after_max / 1'000) * 1'000;
  return failure;
}

}  // namespace geres::transport
