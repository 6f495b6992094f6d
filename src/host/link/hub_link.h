// SPDX-License-Identifier: Apache-2.0
// The agent's only way to the hub, and its loop: one thread that drives all transfers (libcurl multi), timers, and
// whatever other threads post to it. All state of the agent lives on that thread, so none of it needs a lock.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/file.h"

namespace geres::host {

struct HubCall {
  std::string method = "POST";
  std::string path;                       // below the hub's URL, "/v1/hosts"
  std::string body;                       // JSON
  std::string bearer;                     // goes into a header and nowhere else
  std::vector<std::string> headers = {};  // more of them, "Name: value"
  Millis timeout_ms = 10'000;             // 0: none but for a stalled transfer (30 s)

  std::shared_ptr<Fd> upload;  // instead of `body`: this many bytes from the file's start
  std::int64_t upload_bytes = 0;
  std::shared_ptr<Fd> download;  // where the body of a 200 goes
  std::int64_t download_max = 0;
};

struct HubAnswer {
  int status = 0;       // 0: no answer; see `trouble`
  bool sent = true;     // false: the hub cannot have seen it (no connection was made)
  std::string body;     // of downloads: only when the status is not 200
  std::string trouble;  // for the log
  bool ours = false;    // … and it is this machine's: disk full, or a download larger than allowed
  bool disk = false;    // … of its disk, other than that it is full
  Millis retry_after_ms = 0;
  Millis sent_at = 0;           // monotonic, before the first byte went out
  std::int64_t downloaded = 0;  // bytes
  std::string sha256;           // of the download
  bool ok() const { return status >= 200 && status < 300; }
  // Nothing wrong with what was asked: worth the same call again.
  bool again() const { return status == 0 || status == 408 || status == 429 || status >= 500; }
};

// What the hub says in a problem answer, or the network in place of one; for the log and for people.
std::string problem_of(const HubAnswer& answer);

// The hub does not know the host whose call this was.
bool host_gone(const HubAnswer& answer);

class HubLink {
 public:
  struct Options {
    std::string url;
    std::string ca_file;
    std::string agent = "geres-host/" GERES_VERSION;  // the User-Agent
    Millis connect_timeout_ms = 5'000;
  };

  static void prepare();  // process-wide set-up of the HTTP library; before other threads use it

  HubLink(Options options, const Clock& clock);
  ~HubLink();  // stop()

  // `turn` runs at the end of each turn of the loop: after all that was posted, due or answered has been told.
  void start(std::function<void()> turn);
  void stop();  // ends all calls without telling; not from the loop's thread

  void post(std::function<void()> task);  // any thread; done in order

  // The loop's thread only. The callback comes once, on the same thread, unless the link stops before.
  void send(HubCall call, std::function<void(HubAnswer)> done);
  void after(Millis delay_ms, std::function<void()> task);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace geres::host
