// SPDX-License-Identifier: Apache-2.0
// A hub as seen by a program that uses it: JSON in, JSON or a typed failure out. The shapes are those of
// api/openapi.yaml; readers take what they know and leave the rest, so that a newer hub can be talked to.
// One thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/new_file.h"
#include "cli/client/transport.h"

namespace geres::cli::client {

using Sink = std::function<bool(std::string_view piece)>;
using Idle = std::function<void()>;

class Client {
 public:
  explicit Client(Options options) : transport_(std::move(options)) {}

  Answer<json::value> get(const std::string& path, Query query = {});
  // Answers when the hub does, which may take `wait`; `idle` runs meanwhile, ten times a second or more.
  Answer<json::value> get_waiting(const std::string& path, Query query, Millis wait, Idle idle);
  // With an idempotency key the call is repeated while the hub is away.
  Answer<json::value> post(const std::string& path, const json::value& body, const std::string& key = {},
                           Query query = {});
  // A POST that does no harm when it happens twice (drain, pause, cancel).
  Answer<json::value> post_again(const std::string& path, const json::value& body, Query query = {});
  Answer<json::value> put(const std::string& path, const json::value& body);
  Answer<json::value> patch(const std::string& path, const json::value& body);
  Answer<json::value> remove(const std::string& path, Query query = {});
  Answer<bool> exists(const std::string& path);

  // Streams a file up; the answer is the hub's JSON.
  Answer<json::value> upload(const std::string& path, const std::filesystem::path& file,
                             const std::string& content_type);
  // Streams an answer's bytes into `sink` until it ends or the sink says false. `idle` as above.
  Answer<Reply> stream(const std::string& path, Query query, Sink sink, Idle idle = {});
  // Into a file, which the caller then puts into its place. Throws std::system_error when it cannot be written.
  Answer<std::uint64_t> download(const std::string& path, Query query, NewFile& file);

  // All pages of a list, in the hub's order, each item handed to `take` (false ends it).
  Answer<std::size_t> list(const std::string& path, Query query, const std::function<bool(const json::value&)>& take);

  Transport& transport() { return transport_; }
  const Transport& transport() const { return transport_; }

 private:
  Answer<json::value> json_of(const Call& call);
  Transport transport_;
};

// Lenient looks into an answer: what is absent or of another kind is empty.
std::string text_of(const json::value& from, std::string_view member);
std::int64_t number_of(const json::value& from, std::string_view member, std::int64_t otherwise = 0);
double real_of(const json::value& from, std::string_view member);
bool flag_of(const json::value& from, std::string_view member);
const json::value& member_of(const json::value& from, std::string_view member);      // null if absent
const json::value& member_of(json::value&& from, std::string_view member) = delete;  // it would dangle
const json::array& items_of(const json::value& list);  // of {"items": […]} or of an array
const json::array& items_of(json::value&& list) = delete;

}  // namespace geres::cli::client
