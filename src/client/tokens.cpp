// SPDX-License-Identifier: Apache-2.0
#include "client/tokens.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "base/base64.h"
#include "base/file.h"
#include "client/read.h"

namespace geres::client {
namespace {

constexpr Millis kLifetimeUntold = 300'000;
constexpr Millis kEarly = 60'000;  // before it expires, or a fifth of its lifetime if that is less

Millis now() {
  return SystemClock().monotonic();
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  return text;
}

Failure no_token(unsigned status, const std::string& why) {
  Failure failure{Failure::Kind::problem, 401, {}, nullptr};
  failure.error = fail(Code::unauthenticated, "the token endpoint gives no token: " + why, {},
                       "check OAuth::token_url, client_id, client_secret and scope");
  if (status >= 500) failure.status = 503;
  return failure;
}

}  // namespace

Tokens::Tokens(const Options& options, transport::Loop& loop) : loop_(loop) {
  if (options.oauth) {
    oauth_ = options.oauth;
    if (!oauth_->token_url.starts_with("http://") && !oauth_->token_url.starts_with("https://"))
      throw std::invalid_argument("OAuth::token_url '" + oauth_->token_url + "' is not an http or https address");
  } else if (!options.token_file.empty()) {
    file_ = options.token_file;
    read_file_anew();
    if (token_.empty()) throw std::invalid_argument("no token can be read from " + file_.string());
  } else if (!options.token.empty()) {
    token_ = options.token;
  } else if (const char* from_environment = std::getenv("GERES_TOKEN")) {
    token_ = trimmed(from_environment);
  }
}

// True: there is another token now.
bool Tokens::read_file_anew() {
  std::error_code trouble;
  const auto time = std::filesystem::last_write_time(file_, trouble);
  if (trouble || time == file_time_) return false;
  try {
    auto token = trimmed(read_file(file_));
    file_time_ = time;
    if (token.empty() || token == token_) return false;
    token_ = std::move(token);
    return true;
  } catch (const std::system_error&) {  // the file is just being replaced
    return false;
  }
}

bool Tokens::fresh() const {
  return !token_.empty() && now() < expires_ - std::min(kEarly, lifetime_ / 5);
}

void Tokens::with(Take take) {
  if (!file_.empty()) read_file_anew();
  if (!oauth_ || fresh()) return take(token_);
  waiting_.push_back(std::move(take));
  if (!fetching_) fetch();
}

bool Tokens::refused(const std::string& token) {
  if (oauth_) {
    if (token == token_) token_.clear();
    return true;
  }
  if (file_.empty()) return false;
  file_time_ = {};
  return read_file_anew() || token_ != token;
}

void Tokens::fetch() {
  fetching_ = true;
  transport::Call call;
  call.method = "POST";
  call.other = oauth_->token_url;
  call.elsewhere = true;
  call.content_type = "application/x-www-form-urlencoded";
  call.body = "grant_type=client_credentials";
  if (!oauth_->scope.empty()) *call.body += "&scope=" + transport::escaped(oauth_->scope);
  // RFC 6749, 2.3.1: both parts are form-encoded before they are joined.
  const auto name = transport::escaped(oauth_->client_id) + ":" + transport::escaped(oauth_->client_secret);
  call.headers = {{"Authorization", "Basic " + to_base64(name)}, {"Accept", "application/json"}};
  call.repeatable = true;
  loop_.start(std::move(call), [this](Answer<transport::Reply> answer) { fetched(std::move(answer)); });
}

void Tokens::fetched(Answer<transport::Reply> answer) {
  fetching_ = false;
  std::optional<Failure> failure;
  if (answer) {
    const auto document = json::parse(answer->body);
    const auto token = document ? text_of(*document, "access_token") : std::string();
    if (token.empty()) failure = no_token(answer->status, "its answer has no access_token");
    if (!failure) {
      token_ = token;
      const auto seconds = integer_of(*document, "expires_in");
      lifetime_ = seconds > 0 ? std::min<std::int64_t>(seconds, 1'000'000'000) * 1'000 : kLifetimeUntold;
      expires_ = now() + lifetime_;
    }
  } else {
    failure = answer.error();
    if (failure->kind == Failure::Kind::foreign || failure->kind == Failure::Kind::problem) {
      auto why = text_of(failure->problem, "error");
      const auto more = text_of(failure->problem, "error_description");
      if (!more.empty()) why += ", " + more;
      failure = no_token(failure->status, why.empty() ? failure->error.message : why);
    }
    // A token that is about to expire is better than none.
    if (!token_.empty() && now() < expires_) failure.reset();
  }
  for (auto& take : std::exchange(waiting_, {})) failure ? take(*failure) : take(token_);
}

}  // namespace geres::client
