// SPDX-License-Identifier: Apache-2.0
#include "objects/azure_refusal.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>

#include "base/bytes.h"
#include "objects/http_date.h"
#include "objects/xml.h"

namespace geres::objects {
namespace {

constexpr Millis kClockOff = 10 * 60'000;  // the store's limit is 15 minutes
constexpr std::size_t kMessageBytesMax = 300;

struct Meaning {
  std::string_view code;
  std::string_view why;   // instead of the store's message; empty: that
  std::string_view hint;  // what would be right
};

constexpr std::string_view kRole =
    "give the identity the role Storage Blob Data Contributor on the container, or a SAS the permissions rcwdl";
constexpr std::array kMeanings = {
    Meaning{"ContainerNotFound", "the container is absent", "make it, or correct its name; a store does not make it"},
    Meaning{"ContainerBeingDeleted", "the container is being deleted", "wait, or name another one"},
    Meaning{"ContainerDisabled", "the container has been disabled", ""},
    Meaning{"AuthorizationPermissionMismatch", "these credentials do not allow it", kRole},
    Meaning{"InsufficientAccountPermissions", "these credentials do not allow it", kRole},
    Meaning{"AuthorizationServiceMismatch", "the SAS is not for blobs", "make one for the container"},
    Meaning{"AuthorizationResourceTypeMismatch", "the SAS is not for containers and their blobs",
            "make one for the container, or one for the account with srt=co"},
    Meaning{"AuthorizationProtocolMismatch", "the SAS allows https only", "use an https:// endpoint"},
    Meaning{"AuthorizationSourceIPMismatch", "the SAS does not allow this machine's address", ""},
    Meaning{"AuthorizationFailure", "this request is not authorized",
            "either the storage account's firewall does not let this machine in, or the credentials do not allow it"},
    Meaning{"PublicAccessNotPermitted", "no credentials arrived there", ""},
    Meaning{"NoAuthenticationInformation", "no credentials arrived there", ""},
    Meaning{"InvalidAuthenticationInfo", "the credentials cannot be read there",
            "they must be those of this storage account, or of an identity of its tenant"},
    Meaning{"KeyBasedAuthenticationNotPermitted", "the storage account does not allow its keys to be used",
            "use an identity: the place's option auth=identity"},
    Meaning{"AccountIsDisabled", "the storage account is disabled", "look into its subscription, and enable it"},
    Meaning{"AccountRequiresHttps", "the storage account wants https", "use an https:// endpoint"},
    Meaning{"AccountBeingCreated", "the storage account is still being made", "wait"},
    Meaning{"ServerBusy", "the store is busy", "if it stays so, the storage account is at its limits"},
    Meaning{"OperationTimedOut", "the store did not manage it in time", ""},
    Meaning{"InternalError", "the store has trouble of its own", ""},
    Meaning{"BlobArchived", "the object has been moved to the archive tier, from which it cannot be read",
            "take the container out of the rule that archives"},
    Meaning{"BlobBeingRehydrated", "the object is still on its way out of the archive tier", "wait"},
    Meaning{"BlobImmutableDueToPolicy", "the container has a policy against changes",
            "use a container without immutability"},
    Meaning{"LeaseIdMissing", "somebody holds a lease on the object", "break it"},
    Meaning{"InvalidBlobType", "there is an object of this name that is no block blob", "remove it"},
};

std::string one_line(std::string_view text) {
  text = text.substr(0, text.find_first_of("\r\n"));
  auto line = plain_line(utf8_prefix(text, kMessageBytesMax));
  while (!line.empty() && (line.back() == '.' || line.back() == ' ')) line.pop_back();
  return line;
}

std::string minutes(Millis time) {
  const auto n = std::abs(time) / 60'000;
  return n < 120 ? fmt::format("{} minutes", n) : fmt::format("{} hours", n / 60);
}

bool of_credentials(const std::string& code) {
  return code == "AuthenticationFailed" || code == "InvalidAuthenticationInfo" || code == "AuthorizationFailure";
}

// Of "AuthenticationFailed", which has four causes.
Error unauthenticated(const AzureCaller& caller, const std::string& what) {
  using Kind = AzureCredentials::Kind;
  if (caller.kind == Kind::key)
    return fail(Code::blobStoreAway, what + "the key is not this storage account's", {},
                "the key must be one of the two that the account has now");
  if (caller.kind == Kind::sas)
    return fail(Code::blobStoreAway, what + "the SAS is not valid for this container", {},
                "make a new one for the container with the permissions rcwdl");
  return fail(Code::blobStoreAway, what + "the identity's token is not valid there", {},
              "the identity must be of the storage account's tenant");
}

Error unreachable(const AzureRefusal& refusal, const AzureCaller& caller) {
  const bool nameless = refusal.message.find("resolve host") != std::string::npos;
  return fail(Code::blobStoreAway, fmt::format("{} does not answer: {}", caller.store, refusal.message), {},
              nameless ? "is the account's name right? it is the first word of the place" : "");
}

}  // namespace

AzureRefusal read_azure_refusal(const transport::Failure& failure) {
  AzureRefusal refusal;
  refusal.status = failure.status;
  const auto header = [&](const char* name) {
    const auto found = failure.headers.find(name);
    return found != failure.headers.end() ? found->second : std::string();
  };
  refusal.code = header("x-ms-error-code");
  if (const auto date = header("date"); !date.empty()) refusal.server_now = transport::http_time(date);
  if (failure.status == 0) {
    refusal.message = one_line(failure.network.empty() ? failure.error.message : failure.network);
    // An address that cannot be connected to is shown whole, and a SAS is part of it.
    if (refusal.message.find('?') != std::string::npos) refusal.message = "its address cannot be used";
    return refusal;
  }
  if (const auto document = read_xml(failure.body)) {
    if (refusal.code.empty()) refusal.code = (*document)["Code"];
    refusal.message = one_line((*document)["Message"]);
  }
  return refusal;
}

Error azure_error(const AzureRefusal& refusal, const AzureCaller& caller) {
  if (refusal.status == 0) return unreachable(refusal, caller);
  const auto what = fmt::format("{} answered {}: ", caller.store,
                                refusal.code.empty() ? fmt::format("HTTP {}", refusal.status) : one_line(refusal.code));
  if (of_credentials(refusal.code)) {
    const auto off = refusal.server_now ? caller.now - *refusal.server_now : 0;
    if (std::abs(off) > kClockOff)
      return fail(Code::blobStoreAway,
                  fmt::format("{}this machine's clock is {} {} the store's", what, minutes(off),
                              off > 0 ? "ahead of" : "behind"),
                  {}, "set the clock, or have it set by NTP");
    if (caller.ends && *caller.ends < caller.now)
      return fail(Code::blobStoreAway, fmt::format("{}the SAS ran out at {}", what, format_time(*caller.ends)), {},
                  "make a new one, and start again with it");
    if (refusal.code == "AuthenticationFailed") return unauthenticated(caller, what);
  }
  for (const auto& meaning : kMeanings)
    if (meaning.code == refusal.code)
      return fail(Code::blobStoreAway, what + std::string(meaning.why), {}, std::string(meaning.hint));
  // A proxy's answer, or another server's, has neither code nor message.
  return fail(
      Code::blobStoreAway,
      what + (refusal.message.empty() ? "it gave no reason that Azure Blob Storage would give" : refusal.message));
}

}  // namespace geres::objects
