// SPDX-License-Identifier: Apache-2.0
// HTTP calls over libcurl, any number at a time: connections are kept and used again, time and the size of answers are
// limited, and calls that may be repeated are repeated while the hub is away. No redirect is followed. One thread
// drives the loop by calling turn(): in the command line the thread that waits for the answer, in the client SDK, a
// host's or worker's link and the webhooks a thread of their own. All verbs except wake() are for that thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "transport/call.h"
#include "transport/failure.h"

namespace geres::transport {

struct Options {
  std::string hub = "http://127.0.0.1:8080";
  std::filesystem::path ca_file;           // empty: see ca_pin
  std::string ca_pin;                      // of the hub's key or its authority's, see tls/trust.h; empty: the system's
  std::filesystem::path certificate, key;  // what this client shows, PEM; read anew for each connection; empty: nothing
  Millis connect_time_max = 3'000;
  Millis answer_time_max = 30'000;  // of a call without a file that is not a long wait
  Millis patience = 30'000;         // for how long a call that may be repeated is tried again while the hub is away
  bool wait_for_first = true;       // also wait for a hub that has never answered
  std::size_t connections_max = 8;  // calls at a time, not counting lasting ones
  Millis retry_after_max = 10'000;  // the longest Retry-After that is honoured
  std::size_t answer_bytes_max = 256 << 20;  // of a body that is kept in memory
  std::string agent = "geres/" GERES_VERSION;
  bool proxies = true;                       // use those of the environment, but not for this machine itself
  bool http1 = false;                        // one connection per call, so that none waits behind another's bytes
  std::function<bool(void* ssl_ctx)> trust;  // adds further trusted certificates to OpenSSL's context; false: it cannot
  std::function<void(const std::string& why)> on_retry;  // the hub is away, and why; empty: it is back
};

class Loop {
 public:
  using Id = std::uint64_t;
  using Done = std::function<void(Answer<Reply>)>;

  static void prepare();  // sets up libcurl before the process has threads; otherwise the first loop does

  explicit Loop(Options options);
  ~Loop();  // drop()
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // `done` is called once, from turn() or cancel(), with a reply for 2xx, else a failure.
  Id start(Call call, Done done);
  void cancel(Id id);  // calls its `done` now, with Failure::Kind::stopped; does nothing if the call has ended
  void cancel_all();
  void resume();  // offers their pieces again to all sinks that said Take::later
  void after(Millis delay, std::function<void()> then);

  void drop();   // ends calls and timers without calling anybody
  void hurry();  // runs everything that `after` has delayed

  // Does what can be done now, waiting at most this long for something to do.
  void turn(Millis wait_max);
  void wake();  // any thread: turn() returns soon

  std::size_t size() const { return exchanges_.size(); }
  bool idle() const { return exchanges_.empty() && timers_.empty(); }
  const Options& options() const { return options_; }
  Options& options() { return options_; }
  bool contacted() const { return contacted_; }  // something has answered before

 private:
  struct Exchange;
  struct Curl;
  void begin_waiting();
  void begin(Exchange& exchange);
  bool run_timers();  // true: something was done
  bool collect();     // true: something was done
  bool follows(Exchange& exchange, const Failure& failure, bool got_bytes) const;
  bool goes_again(const Exchange& exchange, const Failure& failure, bool got_bytes) const;
  void finish(Exchange& exchange, int curl_code);
  void settle(Exchange& exchange, Answer<Reply> answer);
  void release(Exchange& exchange);
  void end_silent(Millis now);
  Millis next_due(Millis now, Millis wait_max) const;

  Options options_;
  std::unique_ptr<Curl> curl_;
  std::map<Id, std::unique_ptr<Exchange>> exchanges_;
  std::deque<Id> waiting_;  // for a free connection
  std::multimap<Millis, std::function<void()>> timers_;
  std::size_t active_ = 0;   // calls that count toward connections_max
  std::size_t watched_ = 0;  // calls with a limit on silence
  Id last_ = 0;
  bool contacted_ = false;
  bool performing_ = false;  // libcurl is running, and its callbacks must not call it
};

}  // namespace geres::transport
