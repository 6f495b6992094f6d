// SPDX-License-Identifier: Apache-2.0
// From the outcome of a call to the exception that its caller gets.
#pragma once

#include <exception>

#include "geres/client_error.h"
#include "transport/failure.h"

namespace geres::client {

using transport::Answer;
using transport::Failure;

std::exception_ptr exception_of(const Failure& failure);
Failure stopped_failure();
// For an answer that no hub would give.
Failure foreign_failure(unsigned status, const std::string& what);
// For the caller's own mistake, found before anything was sent; thrown as Refused.
Failure refused_failure(Code code, std::string message, std::string field, std::string hint = {});

}  // namespace geres::client
