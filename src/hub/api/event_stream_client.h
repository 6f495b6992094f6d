// SPDX-License-Identifier: Apache-2.0
// Reads server-sent events for tests as the HTML standard says a browser does: on a thread of its own, one event after
// the other, with the id that a reconnect would send.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace geres::hub::api {

struct StreamEvent {
  std::string id;  // the last one set, by this event or an earlier one
  std::string type;
  std::string data;
};

class EventStreamClient {
 public:
  // `path` includes the query. An empty `last_event_id` or token: without that header.
  EventStreamClient(std::string url, std::string path, std::string token, std::string last_event_id = {});
  ~EventStreamClient();
  // nullopt: the stream has ended, or nothing came for a minute.
  std::optional<StreamEvent> next();
  long wait_for_status();  // 0: none came
  std::string last_id();   // also moved by ids without an event
  void wait_for_id();      // until the first id has come, so that the reader is in place
  bool ended();
  void close();

  void take(const char* bytes, std::size_t count);  // called by the transfer
  void take_status(long status);
  bool closing();

 private:
  void run(std::string path, std::string token, std::string last_event_id);
  void take_line(std::string line);
  const std::string url_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<StreamEvent> events_;
  std::string rest_, id_, type_, data_, all_;
  bool any_data_ = false, ended_ = false, closing_ = false;
  long status_ = 0;
  std::thread thread_;
};

}  // namespace geres::hub::api
