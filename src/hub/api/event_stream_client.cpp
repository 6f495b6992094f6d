// SPDX-License-Identifier: Apache-2.0
#include "hub/api/event_stream_client.h"

#include <curl/curl.h>

#include "hub/api/test_client.h"

namespace geres::hub::api {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);

std::size_t take_bytes(char* bytes, std::size_t, std::size_t count, void* to) {
  static_cast<EventStreamClient*>(to)->take(bytes, count);
  return count;
}

std::size_t take_header(char* bytes, std::size_t, std::size_t count, void* to) {
  const std::string_view line(bytes, count);
  if (line.starts_with("HTTP/1.1 "))
    static_cast<EventStreamClient*>(to)->take_status(std::atol(std::string(line.substr(9)).c_str()));
  return count;
}

int look_whether_to_go_on(void* client, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<EventStreamClient*>(client)->closing() ? 1 : 0;
}

}  // namespace

EventStreamClient::EventStreamClient(std::string url, std::string path, std::string token, std::string last_event_id)
    : url_(std::move(url)) {
  thread_ = std::thread([this, path, token, last_event_id] { run(path, token, last_event_id); });
}

EventStreamClient::~EventStreamClient() {
  close();
}

void EventStreamClient::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void EventStreamClient::run(std::string path, std::string token, std::string last_event_id) {
  const std::string url = url_ + path;
  CURL* curl = curl_easy_init();
  curl_slist* headers = nullptr;
  if (!token.empty()) headers = curl_slist_append(headers, ("Authorization: Bearer " + token).c_str());
  if (!last_event_id.empty()) headers = curl_slist_append(headers, ("Last-Event-ID: " + last_event_id).c_str());
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_whether_to_go_on);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, this);
  curl_easy_perform(curl);
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
  const std::lock_guard lock(mutex_);
  if (status_ == 200) record("GET", path, {200, {{"content-type", "text/event-stream"}}, all_});
  ended_ = true;
  changed_.notify_all();
}

void EventStreamClient::take(const char* bytes, std::size_t count) {
  const std::lock_guard lock(mutex_);
  all_.append(bytes, count);
  rest_.append(bytes, count);
  for (auto end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n')) {
    auto line = rest_.substr(0, end);
    rest_.erase(0, end + 1);
    take_line(std::move(line));
  }
  changed_.notify_all();
}

void EventStreamClient::take_line(std::string line) {
  if (line.empty()) {
    if (any_data_) events_.push_back({id_, type_.empty() ? "message" : type_, data_});
    type_.clear();
    data_.clear();
    any_data_ = false;
    return;
  }
  const auto colon = line.find(':');
  const auto name = line.substr(0, colon);
  auto value = colon == std::string::npos ? std::string() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.erase(0, 1);
  if (name == "id") id_ = value;
  if (name == "event") type_ = value;
  if (name != "data") return;
  if (any_data_) data_ += '\n';
  data_ += value;
  any_data_ = true;
}

void EventStreamClient::take_status(long status) {
  const std::lock_guard lock(mutex_);
  status_ = status;
  changed_.notify_all();
}

bool EventStreamClient::closing() {
  const std::lock_guard lock(mutex_);
  return closing_;
}

std::optional<StreamEvent> EventStreamClient::next() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPatience, [this] { return !events_.empty() || ended_; });
  if (events_.empty()) return std::nullopt;
  auto event = std::move(events_.front());
  events_.pop_front();
  return event;
}

long EventStreamClient::wait_for_status() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPatience, [this] { return status_ != 0 || ended_; });
  return status_;
}

std::string EventStreamClient::last_id() {
  const std::lock_guard lock(mutex_);
  return id_;
}

void EventStreamClient::wait_for_id() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPatience, [this] { return !id_.empty() || ended_; });
}

bool EventStreamClient::ended() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [this] { return ended_; });
}

}  // namespace geres::hub::api
