// SPDX-License-Identifier: Apache-2.0
#include "hub/webhooks/poster.h"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <memory>
#include <new>

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

namespace {

transport::Options loop_options(const Poster::Options& options) {
  transport::Options to;
  to.agent = "geres-webhook/" GERES_VERSION;
  to.answer_time_max = options.answer_time_max;
  to.connect_time_max = options.connect_time_max;
  to.connections_max = options.connections_max;
  to.answer_bytes_max = options.answer_bytes_max;
  to.retry_after_max = kRetryAfterMax;
  to.patience = 0;
  to.proxies = false;
  if (!options.ca_file.empty())
    to.trust = [file = options.ca_file](void* context) { return trust(static_cast<SSL_CTX*>(context), file); };
  return to;
}

// Only the status matters, even if the body is too long or never ends.
Posted read(const transport::Answer<transport::Reply>& answer, const transport::Options& options) {
  Posted posted;
  if (answer) {
    posted.status = int(answer->status);
    return posted;
  }
  const auto& failure = answer.error();
  const auto status = failure.status_line;
  posted.status = int(status);
  posted.retry_after = failure.retry_after;
  if (transport::verdict(status) == transport::Verdict::good) return posted;
  if (failure.error.code == Code::forbidden && status == 0)
    posted.error = failure.error.message;
  else if (failure.late)
    posted.error = fmt::format("no answer within {} s", options.answer_time_max / 1'000);
  else if (status < 200)
    posted.error = fmt::format("no answer: {}", failure.error.message);
  else if (status < 400)
    posted.error =
        fmt::format("answered {}, a redirect, which is not followed: give the webhook its final address", status);
  else
    posted.error = fmt::format("answered {}", status);
  return posted;
}

}  // namespace

Poster::Poster(const AddressRules& rules, Options options) : rules_(rules), loop_(loop_options(options)) {}

void Poster::post(Post post, Done done) {
  transport::Call call;
  call.method = "POST";
  call.other = std::move(post.url);
  call.headers = std::move(post.headers);
  call.content_type.clear();
  call.body = std::move(post.body);
  call.repeatable = true;  // only after a kept connection turned out to be dead
  call.lasting = true;     // the caller limits their number
  call.status_only = true;
  call.refuse = [this, host = std::move(post.host)](const sockaddr* to) -> std::string {
    const auto address = address_of(to);
    const auto what = address ? rules_.refused(*address, host) : "an address of a kind that is not called";
    return what.empty() ? what : fmt::format("'{}' leads to {}, which webhooks may not call", host, what);
  };
  auto take = [this, done = std::move(done), begun = SystemClock().monotonic()](const auto& answer) {
    auto posted = read(answer, loop_.options());
    posted.took = SystemClock().monotonic() - begun;
    done(std::move(posted));
  };
  loop_.start(std::move(call), std::move(take));
}

}  // namespace geres::hub::webhooks
