// SPDX-License-Identifier: Apache-2.0
// A hub as seen by a program that uses it: JSON in, JSON or a typed failure out, in the shapes of api/openapi.yaml.
// Readers take what they know and ignore the rest, so that newer hubs work. One thread at a time.
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
  // Returns when the hub answers, which may take `wait`; meanwhile calls `idle` at least ten times a second.
  Answer<json::value> get_waiting(const std::string& path, Query query, Millis wait, Idle idle);
  // With an idempotency key the call is repeated while the hub is away.
  Answer<json::value> post(const std::string& path, const json::value& body, const std::string& key = {},
                           Query query = {});
  // A POST that may be sent twice without harm (drain, pause, cancel).
  Answer<json::value> post_again(const std::string& path, const json::value& body, Query query = {});
  Answer<json::value> put(const std::string& path, const json::value& body);
  Answer<json::value> patch(const std::string& path, const json::value& body);
  Answer<json::value> remove(const std::string& path, Query query = {});
  Answer<bool> exists(const std::string& path);

  // Sends a file; the answer is the hub's JSON.
  Answer<json::value> upload(const std::string& path, const std::filesystem::path& file,
                             const std::string& content_type);
  // Passes the answer's bytes to `sink` until the answer ends or the sink returns false. `idle` as above.
  Answer<Reply> stream(const std::string& path, Query query, Sink sink, Idle idle = {});
  // Downloads to a file, which the caller then moves to its place. Throws std::system_error when it cannot be written.
  Answer<std::uint64_t> download(const std::string& path, Query query, NewFile& file);

  // Reads all pages of a list, in the hub's order, and gives each item to `take`, which may return false to stop.
  Answer<std::size_t> list(const std::string& path, Query query, const std::function<bool(const json::value&)>& take);

  Transport& transport() { return transport_; }
  const Transport& transport() const { return transport_; }

 private:
  Answer<json::value> json_of(const Call& call);
  Transport transport_;
};

// Lenient reading of an answer: a member that is absent or of another type counts as empty.
std::string text_of(const json::value& from, std::string_view member);
std::int64_t number_of(const json::value& from, std::string_view member, std::int64_t otherwise = 0);
double real_of(const json::value& from, std::string_view member);
bool flag_of(const json::value& from, std::string_view member);
const json::value& member_of(const json::value& from, std::string_view member);      // null if absent
const json::value& member_of(json::value&& from, std::string_view member) = delete;  // it would dangle
const json::array& items_of(const json::value& list);  // of {"items": […]} or of an array
const json::array& items_of(json::value&& list) = delete;

}  // namespace geres::cli::client
