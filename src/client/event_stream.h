// SPDX-License-Identifier: Apache-2.0
// GET /v1/events as a stream without end: it reconnects by itself and goes on after the last event that it received.
// Network thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "client/core.h"
#include "transport/sse.h"

namespace geres::client {

using transport::Frame;
using transport::SseParser;

class EventStream : public std::enable_shared_from_this<EventStream> {
 public:
  struct Listener {
    std::function<bool()> ready_for_more = {};        // false: until the loop's resume()
    std::function<void()> on_in_place = {};           // false: no more frames until the loop's resume()
    std::function<void(const Frame&)> on_frame = {};  // for each connection, once the hub has named its position
    std::function<void(const Failure&)> on_interrupted = {};
    std::function<void(const Failure&)> on_refused = {};  // the hub refused for good
  };

  EventStream(std::shared_ptr<Core> core, transport::Query query, std::string after, Listener listener);
  void start();
  void stop();  // nothing is called after this
  const std::string& position() const { return position_; }
  // Since when the stream has been interrupted (monotonic); nullopt while it is connected.
  std::optional<Millis> away_since() const { return away_since_; }

 private:
  void connect();
  transport::Take take(std::string_view piece);
  void take_frame(const Frame& frame);
  void ended(Answer<transport::Reply> answer);
  void come_back(const Failure& why);

  std::shared_ptr<Core> core_;
  transport::Query query_;
  std::string position_;
  Listener listener_;
  SseParser parser_;
  std::shared_ptr<Task> task_;
  int tries_ = 0;
  std::optional<Millis> away_since_;
  bool in_place_ = false;
  bool was_in_place_ = false;  // so the position came from the hub
  bool stopped_ = false;
  bool broken_ = false;  // received something that no hub sends
};

}  // namespace geres::client
