// SPDX-License-Identifier: Apache-2.0
#include "hub/api/test_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <ostream>

namespace geres::hub::api {
namespace {

std::size_t take_body(char* bytes, std::size_t, std::size_t count, void* to) {
  static_cast<std::string*>(to)->append(bytes, count);
  return count;
}

std::size_t take_header(char* bytes, std::size_t, std::size_t count, void* to) {
  const std::string line(bytes, count);
  const auto colon = line.find(':');
  if (colon == std::string::npos) return count;
  std::string name = line.substr(0, colon);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  auto value = line.substr(colon + 1);
  value.erase(0, value.find_first_not_of(' '));
  value.erase(value.find_last_not_of("\r\n") + 1);
  auto& headers = *static_cast<std::map<std::string, std::string>*>(to);
  const bool again = name == "set-cookie" && headers.contains(name);
  headers[name] = again ? headers[name] + "\n" + value : value;
  return count;
}

}  // namespace

void record(const std::string& method, const std::string& path, const Reply& reply) {
  static std::mutex mutex;
  const char* file = std::getenv("GERES_TEST_RECORD");
  if (file == nullptr) return;
  const auto type = reply.headers.find("content-type");
  const bool shown = reply.body.size() < 1'000'000 && !reply.headers.contains("content-encoding");
  const json::object line{{"method", std::string_view(method)},
                          {"path", std::string_view(path)},
                          {"status", reply.status},
                          {"type", std::string_view(type == reply.headers.end() ? "" : type->second)},
                          {"body", std::string_view(shown ? reply.body : "")}};
  const std::lock_guard lock(mutex);
  static std::ofstream lines(file, std::ios::trunc);
  lines << boost::json::serialize(line) << std::endl;
}

json::value Reply::json() const {
  boost::json::error_code ec;
  auto parsed = boost::json::parse(body, ec);
  if (ec) ADD_FAILURE() << "no JSON: " << status << " " << body;
  return parsed;
}

std::string Reply::text(const char* member) const {
  boost::json::error_code ec;
  const auto parsed = boost::json::parse(body, ec);
  if (ec || !parsed.is_object()) return {};
  const auto* found = parsed.get_object().if_contains(member);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

std::string Reply::code() const {
  return text("code");
}

std::string Reply::field() const {
  return text("field");
}

std::ostream& operator<<(std::ostream& to, const Reply& reply) {
  return to << reply.status << " " << reply.body.substr(0, 1'000);
}

Reply TestClient::call(const std::string& method, const std::string& path, const std::string& body,
                       const Headers& headers) const {
  static const bool started = curl_global_init(CURL_GLOBAL_ALL) == 0;
  EXPECT_TRUE(started);
  Reply reply;
  CURL* curl = curl_easy_init();
  curl_slist* list = curl_slist_append(nullptr, "Expect:");
  if (!token_.empty()) list = curl_slist_append(list, ("Authorization: Bearer " + token_).c_str());
  bool has_type = false;
  for (const auto& [name, value] : headers) {
    list = curl_slist_append(list, (name + ": " + value).c_str());
    has_type |= name == "Content-Type";
  }
  if (!has_type) list = curl_slist_append(list, "Content-Type: application/json");
  curl_easy_setopt(curl, CURLOPT_URL, (url_ + path).c_str());
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method.c_str());
  if (!body.empty() || method == "POST" || method == "PUT" || method == "PATCH") {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.size()));
  }
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply.body);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &reply.headers);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
  const CURLcode result = curl_easy_perform(curl);
  if (result != CURLE_OK) ADD_FAILURE() << method << " " << path << ": " << curl_easy_strerror(result);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
  curl_slist_free_all(list);
  curl_easy_cleanup(curl);
  record(method, path, reply);
  return reply;
}

}  // namespace geres::hub::api
