// SPDX-License-Identifier: Apache-2.0
// Query parameters, as strict as bodies: unknown ones are refused, and errors name the parameter.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "http/message.h"
#include "hub/store/reads.h"

namespace geres::hub::api {

// unknownParameter with the nearest name. A known name that ends with '.' stands for all that begin with it. Each may
// be given once, except those in `repeatable`.
Result<void> only_parameters(const http::Query& query, std::initializer_list<std::string_view> known,
                             std::initializer_list<std::string_view> repeatable = {});

// The same error for another field.
Error about(Error error, std::string_view field);

std::string text_parameter(const http::Query& query, std::string_view name);  // empty if absent
Result<std::optional<std::int64_t>> number_parameter(const http::Query& query, std::string_view name,
                                                     std::int64_t least, std::int64_t most);
Result<std::optional<Millis>> duration_parameter(const http::Query& query, std::string_view name, Millis most);
Result<std::optional<Millis>> time_parameter(const http::Query& query, std::string_view name);
Result<bool> flag_parameter(const http::Query& query, std::string_view name);  // true | false | (no value: true)

// Accepts "a,b" and repeated parameters alike.
std::vector<std::string> words_parameter(const http::Query& query, std::string_view name);

// limit, cursor and order of a list of jobs. A cursor is opaque to callers.
Result<store::Page> page_parameters(const http::Query& query);
std::string cursor_after(std::int64_t position);
Result<std::int64_t> read_cursor(std::string_view cursor);
Error bad_cursor();

}  // namespace geres::hub::api
