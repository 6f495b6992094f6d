// SPDX-License-Identifier: Apache-2.0
#include "cli/client/client.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/file.h"

namespace geres::cli::client {
namespace {

// Of a stream. A hub that is there sends a heartbeat every 15 s.
constexpr Millis kSilence = 60'000;

Failure not_ours(unsigned status, const std::string& what) {
  Failure failure{Failure::Kind::foreign, status, {}, nullptr};
  failure.error = fail(Code::internal, "the answer is not what a GeRes hub says: " + what);
  return failure;
}

const json::value kNull;
const json::array kNone;

}  // namespace

Answer<json::value> Client::json_of(const Call& call) {
  auto reply = transport_.send(call);
  if (!reply) return reply.error();
  if (reply->body.empty()) return json::value(nullptr);
  // The document may be nested as deep as any that the hub has accepted, because lists contain jobs' parameters.
  auto document = json::parse(reply->body);
  if (!document) return not_ours(reply->status, document.error().message);
  return *document;
}

Answer<json::value> Client::get(const std::string& path, Query query) {
  Call call;
  call.path = path;
  call.query = std::move(query);
  return json_of(call);
}

Answer<json::value> Client::get_waiting(const std::string& path, Query query, Millis wait, Idle idle) {
  Call call;
  call.path = path;
  call.query = std::move(query);
  call.query.emplace_back("wait", format_duration(wait));
  call.time_max = wait + transport_.options().answer_time_max;
  call.lasting = true;
  call.idle = std::move(idle);
  return json_of(call);
}

Answer<json::value> Client::post(const std::string& path, const json::value& body, const std::string& key,
                                 Query query) {
  Call call;
  call.method = "POST";
  call.path = path;
  call.query = std::move(query);
  call.body = boost::json::serialize(body);
  if (!key.empty()) call.headers.emplace_back("Idempotency-Key", key);
  call.repeatable = !key.empty();
  return json_of(call);
}

Answer<json::value> Client::post_again(const std::string& path, const json::value& body, Query query) {
  Call call;
  call.method = "POST";
  call.path = path;
  call.query = std::move(query);
  call.body = boost::json::serialize(body);
  call.repeatable = true;
  return json_of(call);
}

Answer<json::value> Client::put(const std::string& path, const json::value& body) {
  Call call;
  call.method = "PUT";
  call.path = path;
  call.body = boost::json::serialize(body);
  return json_of(call);
}

Answer<json::value> Client::patch(const std::string& path, const json::value& body) {
  Call call;
  call.method = "PATCH";
  call.path = path;
  call.body = boost::json::serialize(body);
  return json_of(call);
}

Answer<json::value> Client::remove(const std::string& path, Query query) {
  Call call;
  call.method = "DELETE";
  call.path = path;
  call.query = std::move(query);
  return json_of(call);
}

Answer<bool> Client::exists(const std::string& path) {
  Call call;
  call.method = "HEAD";
  call.path = path;
  auto reply = transport_.send(call);
  if (reply) return true;
  if (reply.error().status == 404 || reply.error().status == 405) return false;
  return reply.error();
}

Answer<json::value> Client::upload(const std::string& path, const std::filesystem::path& file,
                                   const std::string& content_type) {
  Call call;
  call.method = "PUT";
  call.path = path;
  call.upload = file;
  call.content_type = content_type;
  return json_of(call);
}

Answer<Reply> Client::stream(const std::string& path, Query query, Sink sink, Idle idle) {
  Call call;
  call.path = path;
  call.query = std::move(query);
  call.take = std::move(sink);
  call.idle = std::move(idle);
  call.silence_max = kSilence;
  return transport_.send(call);
}

Answer<std::uint64_t> Client::download(const std::string& path, Query query, NewFile& file) {
  std::uint64_t bytes = 0;
  Call call;
  call.path = path;
  call.query = std::move(query);
  call.silence_max = kSilence;
  call.follow = true;
  call.take = [&](std::string_view piece) {
    file.write(piece);
    bytes += piece.size();
    return true;
  };
  call.restart = [&] {
    file.restart();
    bytes = 0;
  };
  auto reply = transport_.send(call);
  if (!reply) return reply.error();
  return bytes;
}

Answer<std::size_t> Client::list(const std::string& path, Query query,
                                 const std::function<bool(const json::value&)>& take) {
  std::size_t taken = 0;
  std::string cursor;
  for (;;) {
    Query page = query;
    if (!cursor.empty()) page.emplace_back("cursor", cursor);
    auto answer = get(path, std::move(page));
    if (!answer) return answer.error();
    for (const auto& item : items_of(*answer)) {
      ++taken;
      if (!take(item)) return taken;
    }
    cursor = text_of(*answer, "next");
    if (cursor.empty()) return taken;
  }
}

const json::value& member_of(const json::value& from, std::string_view member) {
  if (!from.is_object()) return kNull;
  const auto* found = from.get_object().if_contains(member);
  return found == nullptr ? kNull : *found;
}

std::string text_of(const json::value& from, std::string_view member) {
  const auto& v = member_of(from, member);
  return v.is_string() ? std::string(v.get_string()) : std::string();
}

std::int64_t number_of(const json::value& from, std::string_view member, std::int64_t otherwise) {
  const auto& v = member_of(from, member);
  if (v.is_int64()) return v.get_int64();
  if (v.is_uint64()) return std::int64_t(v.get_uint64());
  if (v.is_double()) return std::int64_t(v.get_double());
  return otherwise;
}

double real_of(const json::value& from, std::string_view member) {
  const auto& v = member_of(from, member);
  return v.is_number() ? v.to_number<double>() : 0;
}

bool flag_of(const json::value& from, std::string_view member) {
  const auto& v = member_of(from, member);
  return v.is_bool() && v.get_bool();
}

const json::array& items_of(const json::value& list) {
  if (list.is_array()) return list.get_array();
  const auto& items = member_of(list, "items");
  return items.is_array() ? items.get_array() : kNone;
}

}  // namespace geres::cli::client
