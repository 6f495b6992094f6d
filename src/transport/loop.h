// SPDX-License-Identifier: Apache-2.0
// HTTP calls over libcurl, any number at a time: connections kept and used again, time limits, bounds on answers, and
// repeats of calls that may be repeated while the hub is away. No redirect is followed. One thread drives it by calling
// turn(): the command line the thread that waits for the answer; the client SDK, a host's or worker's link and the
// webhooks a thread of their own. All verbs but wake() on that thread.
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
  std::filesystem::path ca_file;  // empty: the system's
  Millis connect_time_max = 3'000;
  Millis answer_time_max = 30'000;  // of a call that moves no file and waits for nothing
  Millis patience = 30'000;         // how long a call that may be repeated is tried again while the hub is away
  bool wait_for_first = true;       // also a hub that has never answered
  std::size_t connections_max = 8;  // calls at a time, but for lasting ones
  Millis retry_after_max = 10'000;  // of what an answer may ask for
  std::size_t answer_bytes_max = 256 << 20;  // of what is kept in memory
  std::string agent = "geres/" GERES_VERSION;
  bool proxies = true;  // as the environment has them, but for this machine itself
  bool http1 = false;   // a connection for each call under way, so that none waits behind another's bytes
  std::function<bool(void* ssl_ctx)> trust;  // adds what else is trusted to OpenSSL's context; false: it cannot
  std::function<void(const std::string& why)> on_retry;  // the hub is away (its words); empty: it is back
};

class Loop {
 public:
  using Id = std::uint64_t;
  using Done = std::function<void(Answer<Reply>)>;

  static void prepare();  // sets up libcurl for the process, before it has threads; else the first loop does

  explicit Loop(Options options);
  ~Loop();  // drop()
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // `done` is called once, from turn() or cancel(): a reply for 2xx, else a failure.
  Id start(Call call, Done done);
  void cancel(Id id);  // its `done` is called with Failure::Kind::stopped, now; nothing for one that has ended
  void cancel_all();
  void resume();  // all whose sinks said Take::later; they may say so again
  void after(Millis delay, std::function<void()> then);

  void drop();   // calls under way and what was put off end without a word
  void hurry();  // everything that `after` has put off happens now

  // Does what can be done, waiting for it at most this long.
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
  bool run_timers();  // was there anything?
  bool collect();     // was there anything?
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
  std::size_t active_ = 0;   // that count among connections_max
  std::size_t watched_ = 0;  // with a limit on silence
  Id last_ = 0;
  bool contacted_ = false;
  bool performing_ = false;  // libcurl is at work, and must not be called by what it calls
};

}  // namespace geres::transport
