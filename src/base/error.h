// SPDX-License-Identifier: Apache-2.0
// Expected trouble (not found, conflict, bad input) as a value. Trouble with the world (disk, database) is an
// exception instead, and our own mistakes are asserts.
#pragma once

#include <boost/system/result.hpp>
#include <string>
#include <string_view>

namespace geres {

// Every code that a caller can meet. Its name (error_name) is the stable `code` of a problem answer; its HTTP status
// and default hint are in the table of hub/api/problem.cpp. A new code goes here, there, and into docs/errors.md.
enum class Code {
  // bad input
  badRequest,
  malformedJson,
  unknownField,
  missingField,
  wrongType,
  badValue,
  tooLarge,
  tooMany,
  notSupported,
  unknownParameter,
  tenantRequired,
  emptyFilter,
  // the caller
  unauthenticated,
  forbidden,
  foreignOrigin,
  tokenExpired,
  noRole,
  identityProviderAway,
  joinTokenUsed,
  joinTokenExpired,
  joinTokenOtherName,
  certificateRequired,
  certificateOtherHost,
  // absent or in the way
  notFound,
  methodNotAllowed,
  unknownTenant,
  unknownBatch,
  batchClosed,
  batchOpen,
  unknownPackage,
  unknownType,
  unknownFile,
  unknownJob,
  nameTaken,
  conflict,
  notEnded,
  notWaiting,
  keyReused,
  packageInUse,
  batchFixed,
  hostAlive,
  hostBusy,
  staleScaler,
  scalerHeld,
  hostGone,
  stale,
  filesMissing,
  badPackage,
  unsupportedMedia,
  // limits
  tooManyQueued,
  tooManyLanes,
  tooManyRequests,
  storageFull,
  headerTooLarge,
  timeout,
  // the hub
  notDone,
  unknown,
  unavailable,
  blobStoreAway,
  internal,
};

std::string_view error_name(Code code);

struct Error {
  Code code = Code::internal;
  std::string message;  // one sentence: what is wrong, with the offending value
  std::string field;    // JSON pointer, query parameter or flag that is wrong; empty if none
  std::string hint;     // what would be right; empty: the table's default for the code
};

template <class T>
using Result = boost::system::result<T, Error>;

// Thrown by Result::value() on an error; only tests and main use value() unchecked.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

inline Error fail(Code code, std::string message, std::string field = {}, std::string hint = {}) {
  return Error{code, std::move(message), std::move(field), std::move(hint)};
}

}  // namespace geres
