// SPDX-License-Identifier: Apache-2.0
// From what came of a call to what its caller is thrown.
#pragma once

#include <exception>

#include "geres/client_error.h"
#include "transport/failure.h"

namespace geres::client {

using transport::Answer;
using transport::Failure;

std::exception_ptr exception_of(const Failure& failure);
Failure stopped_failure();
// The answer is not what a hub says.
Failure foreign_failure(unsigned status, const std::string& what);
// The caller's own mistake, found before anything was sent; thrown as Refused.
Failure refused_failure(Code code, std::string message, std::string field, std::string hint = {});

}  // namespace geres::client
