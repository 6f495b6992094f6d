// SPDX-License-Identifier: Apache-2.0
// The agent's only connection to the hub, and its loop: one thread that drives all transfers (src/transport), timers,
// and whatever other threads post to it. All state of the agent lives on that thread, so none of it needs a lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/file.h"
#include "tls/trust.h"
#include "transport/loop.h"

namespace geres::host {

// Sent once; whoever sends it decides about repeats. A call that moves a file has no time limit except 30 s of silence.
struct HubCall : transport::Call {
  HubCall() { method = "POST"; }
  std::shared_ptr<Fd> download;  // where the body of a 2xx answer goes
  std::int64_t download_max = 0;
};

struct HubAnswer {
  int status = 0;    // 0: no answer; see `trouble`
  bool sent = true;  // false: the hub cannot have seen the call
  std::string body;  // of a 2xx answer
  // The hub's own words in a problem answer, else those of the network; for the log and for people.
  std::string trouble;
  std::string request_id;  // … by which the hub's log names the call
  bool ours = false;       // … and it is about this machine: disk full, or a download larger than allowed
  bool disk = false;       // … about its disk, other than that it is full
  Millis retry_after_ms = 0;
  Millis sent_at = 0;  // monotonic, before the first byte went out
  std::string sha256;  // of the download
  std::string etag;    // of a 2xx answer, from whoever gave it
  bool ok() const { return transport::verdict(unsigned(status)) == transport::Verdict::good; }
  // Worth sending again: hosts and workers have to get through.
  bool again() const {
    return status == 0 || (!ok() && transport::verdict(unsigned(status)) != transport::Verdict::refused);
  }
};

// The answer says that the hub does not know the host that called.
bool host_gone(const HubAnswer& answer);

class HubLink {
 public:
  struct Options {
    std::string url;
    tls::Trust trust;
    std::string agent = "geres-host/" GERES_VERSION;  // the User-Agent
  };

  HubLink(Options options, const Clock& clock);
  ~HubLink();  // stop()

  // `turn` runs at the end of each turn of the loop, after everything posted, due or answered has been handled.
  void start(std::function<void()> turn);
  void stop();  // ends all calls without calling back; not from the loop's thread

  void post(std::function<void()> task);  // any thread; done in order

  // The loop's thread only. Calls back once, on the same thread, unless the link stops before. A call with a secret
  // that has been superseded meanwhile may be refused for that: it is then worth sending again.
  void supersede(std::string secret) { superseded_ = std::move(secret); }
  void send(HubCall call, std::function<void(HubAnswer)> done);
  void after(Millis delay_ms, std::function<void()> task) { loop_.after(delay_ms, std::move(task)); }

 private:
  void run();

  const Clock& clock_;
  transport::Loop loop_;
  std::function<void()> turn_;
  std::string superseded_;
  std::thread thread_;
  std::atomic<std::thread::id> own_;  // set before any other thread can ask
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  bool stopping_ = false;
  bool closed_ = false;
};

}  // namespace geres::host
