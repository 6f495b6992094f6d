// SPDX-License-Identifier: Apache-2.0
#include "objects/s3_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/backoff.h"
#include "base/sha256.h"

namespace geres::objects {
namespace {

constexpr Millis kFirstPause = 200;
constexpr Millis kLongestPause = 5'000;
constexpr Millis kAnswerMax = 600'000;  // within it, silence is the limit
constexpr Millis kWorkMax =
    300'000;  // of silence while a large object is completed or copied; a peer that is gone is noticed
constexpr std::int64_t kLinkSecondsMax = 7 * 24 * 3600;  // by S3's rules

transport::Options transport_options(const Environment& environment, const Patience& patience) {
  transport::Options options;
  options.ca_file = environment("AWS_CA_BUNDLE");
  options.connect_time_max = patience.connect;
  options.answer_time_max = kAnswerMax;
  options.retry_after_max = patience.try_for;
  options.answer_bytes_max = 8 << 20;  // a page of 1,000 keys of 1,024 bytes, each escaped, and what is around them
  return options;
}

std::string payload_of(const S3Ask& ask) {
  if (ask.piece) return ask.piece->sha256;
  return ask.body && !ask.body->empty() ? sha256_hex(*ask.body) : kEmptyPayload;
}

// Keys that are refused for these reasons may be good again once they are fetched anew.
bool of_old_keys(const S3Refusal& refusal) {
  return refusal.code == "ExpiredToken" || refusal.code == "InvalidToken" || refusal.code == "InvalidAccessKeyId" ||
         refusal.code == "SignatureDoesNotMatch";
}

}  // namespace

void throw_exception_from_error(const S3Refusal& refusal, const boost::source_location&) {
  throw std::runtime_error(refusal.error.message);
}

S3Client::S3Client(S3Place place, Environment environment, S3Options options)
    : place_(std::move(place)),
      options_(std::move(options)),
      credentials_({environment, place_.profile, place_.region, place_.plaintext, options_.clock, options_.pause}),
      calls_(transport_options(environment, options_.patience)) {}

AwsRequest S3Client::signed_request(const S3Ask& ask, const AwsKeys& keys, Millis wall) const {
  AwsRequest request{ask.method, place_.path(ask.key), ask.query, ask.headers, payload_of(ask)};
  request.headers["host"] = place_.authority();
  request.headers["x-amz-content-sha256"] = request.payload;
  sign(request, keys, {place_.region}, wall);
  return request;
}

transport::Call S3Client::call(const S3Ask& ask, const AwsKeys& keys, Millis wall) const {
  const auto request = signed_request(ask, keys, wall);
  transport::Call call{.method = ask.method};
  call.other = place_.endpoint.scheme + "://" + place_.authority() + request.path;
  if (!request.query.empty()) call.other += "?" + canonical_query(request.query);
  for (const auto& [name, value] : request.headers) call.headers.emplace_back(name, value);
  call.content_type = ask.piece ? "application/octet-stream" : "application/xml";
  call.body = ask.body;
  if (ask.piece) {
    call.upload_fd = ask.piece->file;
    call.upload_from = std::int64_t(ask.piece->from);
    call.upload_bytes = std::int64_t(ask.piece->bytes);
  }
  call.silence_max = ask.late ? std::max(options_.patience.silence, kWorkMax) : options_.patience.silence;
  call.repeatable = true;
  call.head = ask.head;
  call.sink = ask.sink;
  return call;
}

S3Answer S3Client::once(const S3Ask& ask) {
  // The second time with keys that were fetched anew.
  for (bool again = true;; again = false) {
    const auto keys = credentials_.get();
    if (!keys) {
      auto error = keys.error();
      error.message = fmt::format("{}: {}: {}", place_.name(), ask.purpose.words, error.message);
      return S3Refusal{.error = std::move(error)};
    }
    const auto wall = options_.clock->wall();
    const S3Asked asked{place_, ask.purpose, credentials_.source(), wall};
    const auto answer = calls_.make(call(ask, *keys, wall));
    if (answer) {
      if (auto refusal = ask.late ? read_late_refusal(*answer, asked) : std::nullopt) return std::move(*refusal);
      return std::move(*answer);
    }
    auto refusal = read_refusal(answer.error(), asked);
    if (again && of_old_keys(refusal) && credentials_.refused(*keys)) continue;
    return refusal;
  }
}

S3Answer S3Client::ask(S3Ask ask) {
  const auto try_for = ask.try_for.value_or(options_.patience.try_for);
  Millis since = 0;  // the first failure; a large upload that breaks after minutes is worth another try too
  for (int tries = 1;; ++tries) {
    auto answer = once(ask);
    if (answer || !answer.error().passing) return answer;
    const bool forward = ask.again && ask.again(ask);
    if (tries == 1 || forward) since = options_.clock->monotonic(), tries = 1;
    const auto pause = std::max(backoff(tries, kFirstPause, kLongestPause), answer.error().retry_after);
    if (options_.clock->monotonic() - since + pause > try_for) return answer;
    options_.pause(pause);
  }
}

std::optional<std::string> S3Client::presigned(const std::string& method, const std::string& key,
                                               transport::Query query, Millis lasts,
                                               std::map<std::string, std::string> headers, const std::string& payload) {
  const auto keys = credentials_.get();
  if (!keys) return std::nullopt;
  auto wall = options_.clock->wall();
  auto ends_at = wall + std::min(lasts, kLinkSecondsMax * 1'000);
  if (keys->ends_at) ends_at = std::min(ends_at, *keys->ends_at);
  // A signature cannot say that a link has run out already, but it can be old.
  if (ends_at < wall + 1'000) wall = ends_at - 1'000;
  headers.emplace("host", place_.authority());
  AwsRequest request{method, place_.path(key), std::move(query), std::move(headers), payload};
  return fmt::format("{}://{}{}?{}", place_.endpoint.scheme, place_.authority(), request.path,
                     presigned_query(request, *keys, {place_.region}, wall, (ends_at - wall) / 1'000));
}

}  // namespace geres::objects
