// SPDX-License-Identifier: Apache-2.0
#include "hub/webhooks/poster.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <map>
#include <stdexcept>

namespace geres::hub::webhooks {
namespace {

bool trust(SSL_CTX* context, const std::filesystem::path& file) {
  return SSL_CTX_load_verify_file(context, file.c_str()) == 1;
}

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

}  // namespace

Result<void> check_ca_file(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored))
    return fail(Code::unknownFile, fmt::format("there is no file '{}'", file.string()));
  const std::unique_ptr<SSL_CTX, FreeContext> context(SSL_CTX_new(TLS_client_method()));
  if (!context) throw std::bad_alloc();
  if (trust(context.get(), file)) return {};
  return fail(Code::badValue, fmt::format("'{}' has no certificate in PEM", file.string()));
}

struct Poster::Exchange {
  const AddressRules& rules;
  const Options& options;
  Post post;
  Done done;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  std::string refused;  // why no connection was made
  std::size_t taken = 0;
  bool cut = false;
  Millis begun = 0;

  ~Exchange() { curl_slist_free_all(headers); }

  // The address is the one that is connected to: whatever the name resolved to, and whenever.
  static curl_socket_t open_socket(void* to, curlsocktype purpose, curl_sockaddr* address) {
    auto& self = *static_cast<Exchange*>(to);
    const auto found = address_of(&address->addr);
    std::string what = purpose != CURLSOCKTYPE_IPCXN || !found ? "an address of a kind that is not called"
                                                               : self.rules.refused(*found, self.post.host);
    if (!what.empty()) {
      self.refused = fmt::format("'{}' leads to {}, which webhooks may not call", self.post.host, what);
      return CURL_SOCKET_BAD;
    }
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  }

  static CURLcode trust_more(CURL*, void* context, void* to) {
    const auto& self = *static_cast<Exchange*>(to);
    return trust(static_cast<SSL_CTX*>(context), self.options.ca_file) ? CURLE_OK : CURLE_SSL_CACERT_BADFILE;
  }

  static std::size_t take_body(char*, std::size_t, std::size_t n, void* to) {
    auto& self = *static_cast<Exchange*>(to);
    self.taken += n;
    self.cut = self.taken > self.options.answer_bytes_max;
    return self.cut ? 0 : n;
  }

  static std::size_t take_header(char*, std::size_t, std::size_t n, void* to) {
    auto& self = *static_cast<Exchange*>(to);
    self.taken += n;
    return self.taken > 4 * self.options.answer_bytes_max ? 0 : n;
  }

  void set_up() {
    easy = curl_easy_init();
    if (easy == nullptr) throw std::bad_alloc();
    for (const auto& [name, value] : post.headers)
      headers = curl_slist_append(headers, fmt::format("{}: {}", name, value).c_str());
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_setopt(easy, CURLOPT_URL, post.url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NETRC, long(CURL_NETRC_IGNORED));
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "geres-webhook/" GERES_VERSION);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, post.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(post.body.size()));
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, long(options.connect_time_max));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, long(options.answer_time_max));
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &Exchange::open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
    if (!options.ca_file.empty()) {
      curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, &Exchange::trust_more);
      curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, this);
    }
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Exchange::take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Exchange::take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
  }

  // The status is what counts: a body that is too long or never ends changes nothing about it.
  Posted end(CURLcode code) const {
    Posted posted;
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    posted.status = int(status);
    posted.took = SystemClock().monotonic() - begun;
    curl_off_t after = 0;
    if (curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &after) == CURLE_OK) posted.retry_after = Millis(after) * 1'000;
    if (!refused.empty() && status == 0)
      posted.error = refused;
    else if (code == CURLE_OPERATION_TIMEDOUT && (status < 200 || status >= 300))
      posted.error = fmt::format("no answer within {} s", options.answer_time_max / 1'000);
    else if (status < 200)
      posted.error = fmt::format("no answer: {}", curl_easy_strerror(code));
    else if (status >= 300 && status < 400)
      posted.error =
          fmt::format("answered {}, a redirect, which is not followed: give the webhook its final address", status);
    else if (status >= 300)
      posted.error = fmt::format("answered {}", status);
    return posted;
  }
};

struct Poster::Impl {
  Impl(const AddressRules& rules, Options options) : rules(rules), options(options) {
    static const bool once = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    multi = once ? curl_multi_init() : nullptr;
    if (multi == nullptr) throw std::runtime_error("libcurl does not start");
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, long(options.connections_max));
  }
  ~Impl() {
    drop();
    curl_multi_cleanup(multi);
  }
  void drop() {
    for (auto& [easy, exchange] : exchanges) {
      curl_multi_remove_handle(multi, easy);
      curl_easy_cleanup(easy);
    }
    exchanges.clear();
  }
  const AddressRules& rules;
  const Options options;
  CURLM* multi = nullptr;
  std::map<CURL*, std::unique_ptr<Exchange>> exchanges;
};

Poster::Poster(const AddressRules& rules, Options options) : impl_(std::make_unique<Impl>(rules, options)) {}
Poster::~Poster() = default;

void Poster::post(Post post, Done done) {
  auto exchange =
      std::unique_ptr<Exchange>(new Exchange{impl_->rules, impl_->options, std::move(post), std::move(done)});
  exchange->begun = SystemClock().monotonic();
  exchange->set_up();
  curl_multi_add_handle(impl_->multi, exchange->easy);
  auto* easy = exchange->easy;
  impl_->exchanges.emplace(easy, std::move(exchange));
}

void Poster::turn(Millis wait_max) {
  int running = 0;
  curl_multi_perform(impl_->multi, &running);
  bool ended = false;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(impl_->multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const auto found = impl_->exchanges.find(message->easy_handle);
    const auto code = message->data.result;
    auto exchange = std::move(found->second);
    impl_->exchanges.erase(found);
    auto posted = exchange->end(code);
    curl_multi_remove_handle(impl_->multi, exchange->easy);
    curl_easy_cleanup(exchange->easy);
    exchange->done(std::move(posted));
    ended = true;
  }
  if (!ended) curl_multi_poll(impl_->multi, nullptr, 0, int(wait_max), nullptr);
}

void Poster::drop() {
  impl_->drop();
}

void Poster::wake() {
  curl_multi_wakeup(impl_->multi);
}

std::size_t Poster::under_way() const {
  return impl_->exchanges.size();
}

}  // namespace geres::hub::webhooks
