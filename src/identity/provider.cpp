// SPDX-License-Identifier: Apache-2.0
#include "identity/provider.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/bytes.h"
#include "base/log.h"
#include "identity/jwt.h"

namespace geres::identity {
namespace {

transport::Options bounded(transport::Options options, const FetchTimes& times, const std::string& ca) {
  options.ca_file = ca;
  options.answer_bytes_max = Provider::kAnswerBytesMax;
  options.answer_time_max = times.answer;
  options.connect_time_max = std::min(options.connect_time_max, times.answer);
  options.patience = 0;
  options.on_retry = nullptr;
  return options;
}

// Left empty where it is not to be gone by.
std::string endpoint_of(const json::object& about, std::string_view name, bool local) {
  std::string url(text_of(about, name));
  const bool fits = refused_url(url).empty() && (local || url.starts_with("https://"));
  return fits ? url : std::string();
}

bool lists(const json::object& about, std::string_view name, std::string_view value) {
  const auto* member = about.if_contains(name);
  const auto* list = member != nullptr ? member->if_array() : nullptr;
  return list != nullptr && std::any_of(list->begin(), list->end(), [&](const json::value& one) {
           return one.is_string() && std::string_view(one.get_string()) == value;
         });
}

std::shared_ptr<const Endpoints> endpoints_of(const json::object& about, bool local) {
  constexpr std::string_view kMethods = "token_endpoint_auth_methods_supported";
  auto found = std::make_shared<Endpoints>();
  found->authorization = endpoint_of(about, "authorization_endpoint", local);
  found->token = endpoint_of(about, "token_endpoint", local);
  const auto* says = about.if_contains("authorization_response_iss_parameter_supported");
  found->answers_name_issuer = says != nullptr && says->is_bool() && says->get_bool();
  found->secret_in_body =
      lists(about, kMethods, "client_secret_post") && !lists(about, kMethods, "client_secret_basic");
  return found;
}

bool is_redirect(const transport::Failure& failure) {
  return failure.status >= 300 && failure.status < 400;
}

}  // namespace

Provider::Provider(Settings settings, transport::Options http, FetchTimes times, const Clock& clock)
    : settings_(std::move(settings)),
      times_(times),
      clock_(clock),
      loop_(bounded(std::move(http), times, settings_.ca)) {}

Provider::~Provider() {
  stop();
}

void Provider::start() {
  const std::lock_guard lock(mutex_);
  if (thread_.joinable()) return;
  stopping_ = false;
  wanted_ = true;
  thread_ = std::thread([this] { run(); });
}

void Provider::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  loop_.wake();
  if (thread_.joinable()) thread_.join();
  std::vector<std::function<void()>> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(waiting_);
  }
  for (const auto& then : waiting) then();
}

std::shared_ptr<const KeySet> Provider::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_ && clock_.monotonic() - got_at_ < times_.keep ? keys_ : nullptr;
}

std::shared_ptr<const Endpoints> Provider::endpoints() const {
  const std::lock_guard lock(mutex_);
  return endpoints_;
}

std::string Provider::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

bool Provider::fetch(std::function<void()> then) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    if (!wanted_ && !under_way_) {
      const auto pause = keys_ ? times_.unknown_key : pause_after_failure();
      if (begun_at_ != 0 && clock_.monotonic() - begun_at_ < pause) return false;
      wanted_ = true;
    }
    waiting_.push_back(std::move(then));
  }
  changed_.notify_all();
  return true;
}

Millis Provider::pause_after_failure() const {
  const int doublings = std::clamp(failures_ - 1, 0, 16);
  return std::min(times_.retry_min << doublings, times_.retry_max);
}

void Provider::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (!wanted_ && clock_.monotonic() < due_at_) {
      changed_.wait_for(lock, std::chrono::milliseconds(due_at_ - clock_.monotonic()));
      continue;
    }
    wanted_ = false;
    under_way_ = true;
    begun_at_ = clock_.monotonic();
    lock.unlock();
    auto outcome = fetch_once();
    lock.lock();
    under_way_ = false;
    if (stopping_) return;
    settle(std::move(outcome));
    auto waiting = std::exchange(waiting_, {});
    lock.unlock();
    for (const auto& then : waiting) then();
    lock.lock();
  }
}

void Provider::settle(Outcome outcome) {
  ++fetches_[std::size_t(outcome.fetched)];
  const bool news = outcome.trouble != trouble_ || !keys_;
  trouble_ = outcome.trouble;
  if (outcome.keys) {
    keys_ = outcome.keys;
    endpoints_ = outcome.endpoints;
    ++version_;
    got_at_ = clock_.monotonic();
    failures_ = 0;
  } else {
    ++failures_;
  }
  due_at_ = clock_.monotonic() + (failures_ == 0 ? times_.refresh : pause_after_failure());
  tell(outcome, news);
}

void Provider::tell(const Outcome& outcome, bool news) const {
  if (!news) return;
  if (outcome.keys)
    log::event(log::Level::info, "keys of an identity provider are here",
               {{"provider", settings_.name},
                {"keys", outcome.keys->keys().size()},
                {"leftOut", outcome.keys->left_out().size()}});
  else
    log::event(log::Level::warn, "an identity provider's keys cannot be had",
               {{"provider", settings_.name}, {"error", outcome.trouble}, {"keysAreKept", keys_ != nullptr}});
}

Provider::Outcome Provider::fetch_text(const std::string& url, std::string& text) {
  transport::Call call;
  call.other = url;
  call.headers.emplace_back("Accept", "application/json");
  std::optional<transport::Answer<transport::Reply>> answer;
  const auto id = loop_.start(std::move(call), [&](auto got) { answer.emplace(std::move(got)); });
  while (!answer) {
    loop_.turn(1'000);
    const std::lock_guard lock(mutex_);
    if (stopping_ && !answer) loop_.cancel(id);
  }
  if (*answer) {
    text = std::move((*answer)->body);
    return {};
  }
  const auto& failure = answer->error();
  if (is_redirect(failure))
    return {Fetched::refused, fmt::format("{} answers with a redirect, which is not followed", url), nullptr};
  const auto fetched = failure.status == 0    ? Fetched::unreachable
                       : failure.status < 300 ? Fetched::unfit
                                              : Fetched::refused;
  return {fetched, fmt::format("{}: {}", url, plain_line(utf8_prefix(failure.error.message, 300))), nullptr};
}

Provider::Outcome Provider::fetch_once() {
  const auto unfit = [](std::string why) { return Outcome{Fetched::unfit, std::move(why), nullptr}; };
  std::string text;
  if (auto got = fetch_text(settings_.discovery_url, text); !got.trouble.empty()) return got;
  const auto document = json::parse(text);
  if (!document || !document->is_object()) return unfit(fmt::format("{} is no JSON object", settings_.discovery_url));
  const auto& about = document->get_object();
  if (text_of(about, "issuer") != settings_.issuer)
    return unfit(fmt::format("{} is of the issuer '{}', and not of '{}'", settings_.discovery_url,
                             plain_line(utf8_prefix(text_of(about, "issuer"), 200)), settings_.issuer));
  const std::string keys_url(text_of(about, "jwks_uri"));
  auto why = refused_url(keys_url);
  if (why.empty() && keys_url.starts_with("http:") && !on_loopback(settings_.discovery_url)) why = "is on this machine";
  if (!why.empty())
    return unfit(
        fmt::format("the address of its keys (`jwks_uri`), '{}', {}", plain_line(utf8_prefix(keys_url, 200)), why));
  if (auto got = fetch_text(keys_url, text); !got.trouble.empty()) return got;
  auto keys = KeySet::parse(text);
  if (!keys) return unfit(fmt::format("{}: {}", keys_url, keys.error().message));
  return {Fetched::good,
          {},
          std::make_shared<const KeySet>(std::move(*keys)),
          endpoints_of(about, on_loopback(settings_.discovery_url))};
}

}  // namespace geres::identity
