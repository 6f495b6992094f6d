// SPDX-License-Identifier: Apache-2.0
// Bodies made smaller on their way (RFC 9110, 8.4 and 12.5.3), and answers that are left out because the caller has
// them already (13.1.2).
#pragma once

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/worker_pool.h"
#include "http/router.h"

namespace geres::http {

enum class Coding { identity, gzip, brotli };
std::string_view coding_name(Coding coding);  // as in Content-Encoding

// What the caller likes best of those offered, by the header Accept-Encoding; among equals the first. identity, where
// there is no header or none of them is wanted.
Coding choose_coding(std::optional<std::string_view> accept_encoding, std::initializer_list<Coding> offered);

std::string gzip(std::string_view bytes, int level);
Result<std::string> gunzip(std::string_view bytes, std::size_t most);

// Whether a validator of If-None-Match names this ETag; weak and strong ones are the same here (13.1.2).
bool matches_etag(std::string_view if_none_match, std::string_view etag);

// Goes around all routes. Text of a kilobyte and more is compressed for those who ask, large ones on `pool`. Left
// alone: streams, files, what is encoded already or must not be stored (secrets), and answers to whom `leave` names.
Around compress_answers(WorkerPool& pool, std::function<bool(const Request&)> leave);

// Goes around all routes, inside the former: gives answers to GET in JSON a validator, and 304 to those who name it.
Around validate_answers(WorkerPool& pool, std::function<bool(const Request&)> leave);

}  // namespace geres::http
