// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <array>
#include <stdexcept>

namespace geres {
namespace {

// In the order of the enum, which has become too long for Boost.Describe. docs/errors.md is tested against both.
constexpr std::array kNames{
    std::string_view("badRequest"),
    std::string_view("malformedJson"),
    std::string_view("unknownField"),
    std::string_view("missingField"),
    std::string_view("wrongType"),
    std::string_view("badValue"),
    std::string_view("tooLarge"),
    std::string_view("tooMany"),
    std::string_view("notSupported"),
    std::string_view("unknownParameter"),
    std::string_view("tenantRequired"),
    std::string_view("emptyFilter"),
    std::string_view("unauthenticated"),
    std::string_view("forbidden"),
    std::string_view("foreignOrigin"),
    std::string_view("tokenExpired"),
    std::string_view("noRole"),
    std::string_view("identityProviderAway"),
    std::string_view("joinTokenUsed"),
    std::string_view("joinTokenExpired"),
    std::string_view("joinTokenOtherName"),
    std::string_view("certificateRequired"),
    std::string_view("certificateOtherHost"),
    std::string_view("notFound"),
    std::string_view("methodNotAllowed"),
    std::string_view("unknownTenant"),
    std::string_view("unknownBatch"),
    std::string_view("batchClosed"),
    std::string_view("batchOpen"),
    std::string_view("unknownPackage"),
    std::string_view("unknownType"),
    std::string_view("unknownFile"),
    std::string_view("unknownJob"),
    std::string_view("nameTaken"),
    std::string_view("conflict"),
    std::string_view("notEnded"),
    std::string_view("notWaiting"),
    std::string_view("keyReused"),
    std::string_view("packageInUse"),
    std::string_view("batchFixed"),
    std::string_view("hostAlive"),
    std::string_view("hostBusy"),
    std::string_view("staleScaler"),
    std::string_view("scalerHeld"),
    std::string_view("hostGone"),
    std::string_view("stale"),
    std::string_view("filesMissing"),
    std::string_view("badPackage"),
    std::string_view("unsupportedMedia"),
    std::string_view("tooManyQueued"),
    std::string_view("tooManyLanes"),
    std::string_view("tooManyRequests"),
    std::string_view("storageFull"),
    std::string_view("headerTooLarge"),
    std::string_view("timeout"),
    std::string_view("notDone"),
    std::string_view("unknown"),
    std::string_view("unavailable"),
    std::string_view("blobStoreAway"),
    std::string_view("internal"),
};
static_assert(kNames.size() == std::size_t(Code::internal) + 1, "every code has its name");

}  // namespace

std::string_view error_name(Code code) {
  return kNames.at(std::size_t(code));
}

void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw std::runtime_error(std::string(error_name(error.code)) + ": " + error.message);
}

}  // namespace geres
