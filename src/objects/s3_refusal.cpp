// SPDX-License-Identifier: Apache-2.0
#include "objects/s3_refusal.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>

#include "base/bytes.h"
#include "base/duration.h"
#include "objects/xml.h"

namespace geres::objects {
namespace {

using Headers = std::map<std::string, std::string>;

constexpr std::size_t kWordsMax = 300;

struct Told {
  unsigned status = 0;
  std::string code, message;
  std::string region;       // where the bucket is, if the answer says so
  std::string server_time;  // RFC 3339
  const Headers* headers = nullptr;
};

std::string header(const Headers& headers, const std::string& name) {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

bool one_of(std::string_view code, std::initializer_list<std::string_view> codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

Told read(unsigned status, const std::string& body, const Headers& headers) {
  Told told{.status = status, .headers = &headers};
  told.region = header(headers, "x-amz-bucket-region");
  const auto error = read_xml(body);
  if (!error || error->name != "Error") return told;
  told.code = utf8_prefix(plain_line((*error)["Code"]), 64);
  told.message = utf8_prefix(plain_line((*error)["Message"]), kWordsMax);
  if (told.region.empty()) told.region = (*error)["Region"];
  told.server_time = (*error)["ServerTime"];
  return told;
}

bool passing(const Told& told) {
  return transport::verdict(told.status) == transport::Verdict::passing || told.status == 500 ||
         one_of(told.code, {"InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "OperationAborted",
                            "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests"});
}

// "61 minutes behind the server's"
std::string skew(const Told& told, Millis wall) {
  auto server = transport::http_time(header(*told.headers, "date"));
  if (const auto time = parse_time(told.server_time); !server && time) server = *time;
  if (!server) return "too far from the server's";
  const auto off = wall - *server;
  return fmt::format("{} minutes {} the server's", (std::abs(off) + 30'000) / 60'000, off < 0 ? "behind" : "ahead of");
}

// "s3:PutObject on arn:aws:s3:::builds/geres/*"
std::string right(const S3Place& place, const std::string& action) {
  const auto bucket = "arn:aws:s3:::" + place.bucket;
  if (action == "s3:ListBucket") return action + " on " + bucket;
  const auto objects = fmt::format("{} on {}/{}*", action, bucket, place.prefix);
  // Without it Amazon forbids to read what is absent.
  return action == "s3:GetObject" ? fmt::format("{}, and s3:ListBucket on {}", objects, bucket) : objects;
}

struct Reason {
  std::string why, hint;
  Code code = Code::blobStoreAway;
};

bool of_region(const Told& told) {
  if (one_of(told.code, {"PermanentRedirect", "IllegalLocationConstraintException", "TemporaryRedirect"})) return true;
  if (told.code == "AuthorizationHeaderMalformed") return !told.region.empty();
  return told.status == 301 || told.status == 307;
}

Reason reason_of_region(const Told& told, const S3Asked& asked) {
  if (told.region.empty() || told.region == asked.place.region)
    return {fmt::format("the bucket {} is served at another address", asked.place.bucket),
            "give the bucket's own region= and endpoint="};
  return {fmt::format("the bucket {} is in the region {}, but {} was asked", asked.place.bucket, told.region,
                      asked.place.region),
          "region=" + told.region};
}

std::optional<Reason> reason_of_keys(const Told& told, const S3Asked& asked) {
  const auto& code = told.code;
  if (one_of(code, {"RequestTimeTooSkewed", "RequestExpired"}))
    return Reason{fmt::format("this machine's clock is {}", skew(told, asked.wall)),
                  "set the clock, and let NTP keep it (timedatectl set-ntp true)"};
  if (code == "SignatureDoesNotMatch")
    return Reason{
        fmt::format("the secret access key is not the one of its access key id; the keys come from {}", asked.keys),
        "correct the secret; a '/' or '+' in it is easily lost in copying"};
  if (one_of(code, {"InvalidAccessKeyId", "InvalidClientTokenId"}))
    return Reason{fmt::format("it does not know the access key id; the keys come from {}", asked.keys),
                  "is it a key for this server, and still active?"};
  if (one_of(code, {"ExpiredToken", "InvalidToken", "TokenRefreshRequired"}))
    return Reason{
        fmt::format("the temporary keys have run out, or their token is another's; they come from {}", asked.keys),
        "fetch new ones, or use a source that renews them (docs/blobs.md)"};
  if (code == "AccessDenied" || (code.empty() && told.status == 403))
    return Reason{
        fmt::format("the keys do not allow it; they come from {}", asked.keys),
        fmt::format("allow {}; docs/blobs.md has the whole policy", right(asked.place, asked.purpose.action))};
  return std::nullopt;
}

Reason reason(const Told& told, const S3Asked& asked) {
  if (of_region(told)) return reason_of_region(told, asked);
  if (auto keys = reason_of_keys(told, asked)) return std::move(*keys);
  if (told.code == "NoSuchBucket")
    return {fmt::format("there is no bucket {}", asked.place.bucket),
            "make the bucket, or correct its name or region in --blobs"};
  if (one_of(told.code, {"XAmzContentSHA256Mismatch", "BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"}))
    return {"the bytes are not those that were announced", "send the whole file again", Code::badValue};
  if (told.code == "NoSuchKey") return {"it is not there", {}, Code::unknownFile};
  if (told.code == "InvalidRange") return {"it has fewer bytes", "ask for a range within it", Code::badValue};
  if (told.code == "PreconditionFailed" || told.status == 412) return {"it was changed meanwhile", "try it again"};
  if (passing(told)) return {"the store is busy or in trouble", "try it again later"};
  if (told.code.empty())
    return {"this is not how an S3 server would answer", "is the endpoint right, and does a proxy stand before it?"};
  return {"the store refuses it", {}};
}

// "NoSuchBucket, HTTP 404: The specified bucket does not exist."
std::string said(const Told& told) {
  auto text =
      told.code.empty() ? fmt::format("HTTP {}", told.status) : fmt::format("{}, HTTP {}", told.code, told.status);
  if (!told.message.empty()) text += ": " + told.message;
  return text;
}

S3Refusal refusal(const Told& told, const S3Asked& asked) {
  S3Refusal refusal{.status = told.status, .code = told.code, .passing = passing(told)};
  auto why = reason(told, asked);
  refusal.error =
      fail(why.code, fmt::format("{}: {}: {} ({})", asked.place.name(), asked.purpose.words, why.why, said(told)), {},
           std::move(why.hint));
  return refusal;
}

S3Refusal unreachable(const transport::Failure& failure, const S3Asked& asked) {
  S3Refusal refusal{.passing = transport::passing(failure)};
  const bool trust = failure.kind == transport::Failure::Kind::untrusted;
  const auto& network = failure.network.empty() ? failure.error.message : failure.network;
  refusal.error = fail(Code::blobStoreAway,
                       fmt::format("{}: {}: {}: {}", asked.place.name(), asked.purpose.words,
                                   trust ? "its certificate is not trusted" : "it cannot be reached", network),
                       {},
                       trust ? "AWS_CA_BUNDLE names a file of certificates to trust"
                             : "is the endpoint right, and does a firewall or proxy let us through?");
  return refusal;
}

}  // namespace

S3Refusal read_refusal(const transport::Failure& failure, const S3Asked& asked) {
  const bool told = failure.status > 0 && failure.kind != transport::Failure::Kind::unreachable;
  if (!told) return unreachable(failure, asked);
  auto read_so = refusal(read(failure.status, failure.body, failure.headers), asked);
  read_so.retry_after = failure.retry_after;
  return read_so;
}

std::optional<S3Refusal> read_late_refusal(const transport::Reply& reply, const S3Asked& asked) {
  const auto told = read(reply.status, reply.body, reply.headers);
  if (told.code.empty()) return std::nullopt;
  return refusal(told, asked);
}

}  // namespace geres::objects
