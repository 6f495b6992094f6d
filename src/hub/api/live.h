// SPDX-License-Identifier: Apache-2.0
// GET /v1/live, a WebSocket: a browser says what it shows, and hears when that has changed.
//
//   client   {"watch": {"status": true, "jobs": ["id", …], "log": {"job": "id", "attempt": 1, "stream": "stdout"},
//             "newJobs": true}}     each one replaces the one before; every member may be left out
//   server   {"status": {…}}        as GET /v1/status, at most once a second
//            {"job": {…}}           as an item of GET /v1/jobs; of each new job of a watch once as it is
//            {"log": {"job", "attempt", "stream", "size", "ended"}}
//            {"newJobs": n}         submitted since that watch
//            {"gap": true}          events were missed: read anew
//
// Close codes: 1008 for a message that is none of these, 4401 when the session or token is over.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "hub/api/call.h"

namespace geres::hub::api {

// What all sockets share: the status, made once a second for all who may see the same, while somebody looks.
class Live {
 public:
  using Text = std::shared_ptr<const std::string>;  // the message; null: there is none yet
  awaitable<Text> status(Call& call);

 private:
  static constexpr Millis kEvery = 1'000;
  static constexpr Millis kForgotten = 60'000;
  struct Entry {
    Text text;
    Millis made_at = 0;
    bool making = false;
  };
  bool claim(const std::vector<std::string>& tenants, Millis now, Text& text);
  void put(const std::vector<std::string>& tenants, Millis now, Text text);
  std::mutex mutex_;
  std::map<std::vector<std::string>, Entry> by_tenants_;
};

}  // namespace geres::hub::api
