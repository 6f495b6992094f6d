// SPDX-License-Identifier: Apache-2.0
#include "hub/api/problem.h"

#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/bytes.h"

namespace geres::hub::api {
namespace {

// clang-format off
constexpr std::array kTable{
  ProblemKind{Code::badRequest, 400, 400, "The request cannot be understood", "check the call against /openapi.yaml"},
  ProblemKind{Code::malformedJson, 400, 400, "The body is not JSON", "send one JSON document in UTF-8"},
  ProblemKind{Code::unknownField, 400, 400, "A field is not known", "check the spelling against /openapi.yaml"},
  ProblemKind{Code::missingField, 400, 400, "A field is missing", "add it"},
  ProblemKind{Code::wrongType, 400, 400, "A field has the wrong type", "see /openapi.yaml for its type"},
  ProblemKind{Code::badValue, 400, 400, "A value is not allowed", "see /openapi.yaml for what is"},
  ProblemKind{Code::tooLarge, 413, 413, "Something is too large", "send less, or put it into a file"},
  ProblemKind{Code::tooMany, 413, 413, "There are too many of them", "send them in several calls"},
  ProblemKind{Code::notSupported, 422, 422, "This is not supported by this version", "leave it out"},
  ProblemKind{Code::unknownParameter, 400, 400, "A query parameter is not known", "check the spelling against /openapi.yaml"},
  ProblemKind{Code::tenantRequired, 400, 400, "It is not clear which tenant is meant", "name the tenant"},
  ProblemKind{Code::emptyFilter, 400, 400, "The filter is empty", "give at least one condition, and none that is empty, so that nothing is changed by accident"},
  ProblemKind{Code::unauthenticated, 401, 401, "No valid token", "send `Authorization: Bearer TOKEN`; the admin token lies in DATA/admin.token"},
  ProblemKind{Code::forbidden, 403, 403, "The token may not do this", "ask an admin for a token with that role or tenant"},
  ProblemKind{Code::foreignOrigin, 403, 403, "A web page of another origin makes this call", "open the hub's own page; behind a proxy, start the hub with --public-url"},
  ProblemKind{Code::tokenExpired, 401, 401, "The token has expired", "get a new one and call again"},
  ProblemKind{Code::noRole, 403, 403, "The token is good, but gives no role here", "assign one of this hub's roles to the application or the user at the identity provider; geres auth test TOKEN says what was looked for"},
  ProblemKind{Code::identityProviderAway, 503, 503, "The identity provider cannot be asked for its keys", "try again a little later; tokens that the hub made itself are not affected"},
  ProblemKind{Code::joinTokenUsed, 401, 401, "The join token has been used", "make a new one: geres hosts invite"},
  ProblemKind{Code::joinTokenExpired, 401, 401, "The join token has expired", "make a new one: geres hosts invite"},
  ProblemKind{Code::joinTokenOtherName, 401, 401, "The join token is for a host of another name", "start the host with that name, or make a join token without one"},
  ProblemKind{Code::certificateRequired, 401, 401, "A client certificate is required", "give the host a certificate of the CA that the hub was started with: --cert FILE --key FILE"},
  ProblemKind{Code::certificateOtherHost, 401, 401, "The client certificate is another host's", "use the certificate of this host's name"},
  ProblemKind{Code::notFound, 404, 404, "There is no such thing", "check the id or name"},
  ProblemKind{Code::methodNotAllowed, 405, 405, "This method is not allowed here", "the header Allow lists those that are"},
  ProblemKind{Code::unknownTenant, 422, 422, "There is no such tenant", "check its name; an admin's token makes a new one"},
  ProblemKind{Code::unknownBatch, 404, 422, "There is no such batch", "GET /v1/batches lists them; POST /v1/batches makes one"},
  ProblemKind{Code::batchClosed, 409, 409, "The batch takes no new jobs", "use another batch"},
  ProblemKind{Code::batchOpen, 409, 409, "The batch still takes jobs", "close or cancel it first"},
  ProblemKind{Code::unknownPackage, 404, 422, "There is no such package", "GET /v1/packages lists them; PUT /v1/packages/{tenant}/{name} uploads one"},
  ProblemKind{Code::unknownType, 422, 422, "The package does not have this job type", "use one of those it has, or push a version that has it"},
  ProblemKind{Code::unknownFile, 404, 422, "There is no such file", "upload it first: PUT /v1/files/{tenant}"},
  ProblemKind{Code::unknownJob, 404, 422, "There is no such job", "check the id; ended jobs are kept for a limited time"},
  ProblemKind{Code::nameTaken, 409, 409, "The name is taken", "use another name"},
  ProblemKind{Code::conflict, 409, 409, "This contradicts what is recorded", "read the current state first"},
  ProblemKind{Code::notEnded, 409, 409, "The job has not ended", "wait for it or cancel it first"},
  ProblemKind{Code::notWaiting, 409, 409, "The job does not wait any more", "only jobs that have not started can be changed"},
  ProblemKind{Code::keyReused, 422, 422, "The key belongs to another request", "use a new key, or send the same request again"},
  ProblemKind{Code::packageInUse, 409, 409, "Jobs that have not ended need this package", "wait for them or cancel them first"},
  ProblemKind{Code::batchFixed, 409, 409, "The default batch can be neither closed, cancelled nor deleted", "use a batch of your own"},
  ProblemKind{Code::hostAlive, 409, 409, "A live host has this name", "use another name, or stop the other host first"},
  ProblemKind{Code::hostBusy, 409, 409, "The host may still run something", "drain it, wait until its last job has ended, and retire it first"},
  ProblemKind{Code::staleScaler, 409, 409, "Another scaler has taken over", "take the lease again: POST /v1/scaler/lease"},
  ProblemKind{Code::scalerHeld, 409, 409, "Another scaler is at work", "wait until its lease is over, or stop it first"},
  ProblemKind{Code::hostGone, 410, 410, "The hub does not know this host any more", "register again: POST /v1/hosts"},
  ProblemKind{Code::stale, 409, 409, "The lease is not current", "stop that attempt: its job has moved on"},
  ProblemKind{Code::filesMissing, 409, 409, "A file that was named is not there", "upload it, then report again"},
  ProblemKind{Code::badPackage, 422, 422, "The package cannot be used", "see docs/packages for what a package may hold"},
  ProblemKind{Code::unsupportedMedia, 415, 415, "The content type does not fit", "send application/json, or the raw bytes for files"},
  ProblemKind{Code::tooManyQueued, 429, 429, "The tenant has too many waiting jobs", "wait until some have ended, or have maxQueued raised"},
  ProblemKind{Code::tooManyLanes, 429, 429, "The tenant's jobs differ in too many ways", "use fewer combinations of batch, type and requirements"},
  ProblemKind{Code::tooManyRequests, 429, 429, "Too many requests at once", "try again a little later"},
  ProblemKind{Code::storageFull, 507, 507, "The disk is nearly full", "free space, shorten retention, or ask the operator"},
  ProblemKind{Code::headerTooLarge, 431, 431, "The request's header is too large", "send fewer or shorter headers"},
  ProblemKind{Code::timeout, 408, 408, "The request came too slowly", "send it again"},
  ProblemKind{Code::notDone, 503, 503, "Nothing has happened", "send it again"},
  ProblemKind{Code::unknown, 503, 503, "It is not known whether it happened", "send it again with the same key, or read the state first"},
  ProblemKind{Code::unavailable, 503, 503, "The hub is stopping or overloaded", "try again a little later"},
  ProblemKind{Code::blobStoreAway, 503, 503, "The store of packages and files is out of reach", "send it again a little later; geres status and the hub's log say what is wrong with it"},
  ProblemKind{Code::internal, 500, 500, "The hub failed", "the hub's log says more; please report it"},
};
// clang-format on
static_assert(kTable.size() == std::size_t(Code::internal) + 1, "every code has its row");
static_assert([] {
  for (std::size_t i = 0; i < kTable.size(); ++i)
    if (kTable[i].code != Code(i)) return false;
  return true;
}());

boost::json::value text(std::string_view s) {
  return boost::json::value(std::string_view(replace_bad_utf8(s)));
}

boost::json::object body_of(const Error& error, unsigned status) {
  const auto& kind = problem_kind(error.code);
  boost::json::object body{{"type", text("/errors#" + std::string(error_name(error.code)))},
                           {"title", text(kind.title)},
                           {"status", status},
                           {"code", text(error_name(error.code))},
                           {"detail", text(error.message.empty() ? kind.title : error.message)}};
  if (!error.field.empty()) body.emplace("field", text(error.field));
  body.emplace("hint", text(error.hint.empty() ? kind.hint : std::string_view(error.hint)));
  return body;
}

http::Response response_of(const boost::json::object& body, unsigned status) {
  auto response = http::text_response(status, "application/problem+json", boost::json::serialize(body));
  response.headers.emplace_back("Cache-Control", "no-store");
  if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"geres\"");
  if (status == 503 || status == 429) response.headers.emplace_back("Retry-After", "1");
  return response;
}

}  // namespace

std::span<const ProblemKind> problem_table() {
  return kTable;
}

const ProblemKind& problem_kind(Code code) {
  return kTable[std::size_t(code)];
}

unsigned status_of(const Error& error) {
  const auto& kind = problem_kind(error.code);
  return error.field.starts_with('/') ? kind.status_in_body : kind.status;
}

http::Response problem(const Error& error) {
  return problem_with_status(error, status_of(error));
}

http::Response problem_with_status(const Error& error, unsigned status) {
  return response_of(body_of(error, status), status);
}

http::Response problem_with_known(const Error& error, std::span<const std::string> known) {
  const unsigned status = status_of(error);
  auto body = body_of(error, status);
  boost::json::array list;
  for (const auto& name : known.first(std::min<std::size_t>(known.size(), 100))) list.push_back(text(name));
  body.emplace("known", std::move(list));
  return response_of(body, status);
}

}  // namespace geres::hub::api
