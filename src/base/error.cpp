// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <boost/describe/enum.hpp>
#include <boost/describe/enum_to_string.hpp>
#include <stdexcept>

namespace geres {

BOOST_DESCRIBE_ENUM(Code, badRequest, malformedJson, unknownField, missingField, wrongType, badValue, tooLarge, tooMany,
                    notSupported, unknownParameter, tenantRequired, emptyFilter, unauthenticated, forbidden,
                    foreignOrigin, notFound, methodNotAllowed, unknownTenant, unknownBatch, batchClosed, batchOpen,
                    unknownPackage, unknownType, unknownFile, unknownJob, nameTaken, conflict, notEnded, notWaiting,
                    keyReused, packageInUse, batchFixed, hostAlive, hostBusy, staleScaler, scalerHeld, hostGone, stale,
                    filesMissing, badPackage, unsupportedMedia, tooManyQueued, tooManyLanes, tooManyRequests,
                    storageFull, headerTooLarge, timeout, notDone, unknown, unavailable, blobStoreAway, internal)

std::string_view error_name(Code code) {
  return boost::describe::enum_to_string(code, "internal");
}

void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw std::runtime_error(std::string(error_name(error.code)) + ": " + error.message);
}

}  // namespace geres
