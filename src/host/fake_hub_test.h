// SPDX-License-Identifier: Apache-2.0
// A hub for the host's tests: real HTTP over loopback, a handful of rules, and switches for everything that can go
// wrong. Blocking sockets, one thread per connection.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "wire/host/host_protocol.h"

namespace geres::host::test {

class FakeHub {
 public:
  struct Told {  // what the host reported about one lease
    bool started = false;
    std::vector<wire::ProgressItem> progress;
    std::map<std::string, std::string> log;  // by stream
    std::vector<wire::FinishedItem> finished;
    std::map<std::string, std::string> files_at_finish;
  };

  FakeHub();
  ~FakeHub();
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  // ---- what there is
  std::string package(const std::map<std::string, std::string>& files);  // stores a ZIP; returns its digest
  std::string blob(const std::string& bytes);                            // stores bytes; returns their digest
  // Adds a job of tenant "acme" and type "T" that waits to be fetched. Returns its lease.
  std::string add_job(const std::string& package_sha256, const std::function<void(wire::LeaseGrant&)>& change = {});
  std::string add_script(const std::string& script, const std::function<void(wire::LeaseGrant&)>& change = {});
  void cancel(const std::string& lease, Millis grace_ms = 5'000);
  void set_mode(model::HostMode mode);
  void let_go();             // releases what is held
  void set_down(bool down);  // drops all connections, and refuses new ones

  // Runs `look` with the state locked, again and again until it returns true, at most 20 s.
  bool await(const std::function<bool()>& look);
  bool await_finished(const std::string& lease) {
    return await([&] { return !told[lease].finished.empty(); });
  }
  wire::FinishedItem finished(const std::string& lease);
  template <class F>
  auto locked(F look) {
    const std::lock_guard lock(mutex_);
    return look();
  }

  // ---- state and switches; touch them within await() or locked()
  std::vector<wire::RegisterHost> registered;
  std::vector<std::string> protocols_said;        // of each registration; "": none
  std::optional<int> protocol = wire::kProtocol;  // in the answer; nullopt (and `old`): like a hub of 0.1.0
  std::string news;                               // further members of its answers: R"(,"more":1)"
  std::map<std::string, Told> told;
  std::set<std::string> current;  // leases
  std::vector<wire::Report> reports;
  std::vector<wire::Fetch> fetches;
  std::map<std::string, std::string> files;  // "lease/path" → bytes
  std::map<std::string, int> downloads;      // by digest
  int drop_fetch_answers = 0;                // that contain leases
  std::size_t deaf_fetch = 0;                // the number of the fetch that is never answered
  bool down_after_drop = false;              // from then on, until set_down(false)
  int drop_report_answers = 0;               // that contain finished items
  bool old = false;                          // like 0.1.0: refuses a report that names files left out …
  std::string refused_file = "none";         // … and a file with this name
  std::string poison = "none";               // a report with this result is refused as a whole
  int files_missing = 0;                     // so many finished items are refused
  bool hold_downloads = false, hold_uploads = false, hold_registration = false;
  int download_status = 200;
  std::map<std::string, std::string> blobs;  // by digest
  Millis ttl_ms = 30'000;
  double report_seconds = 5;
  std::string token = "host-token";  // with which a host registers
  bool forget_host = false;          // answers the host's calls with 404 until it registers again
  bool left = false;

 private:
  struct Request {
    std::string method, path, bearer, protocol, body;
  };
  struct Response {
    int status = 200;
    std::string body;
    bool drop = false;
  };
  void accept_loop();
  void serve(int fd);
  Response answer(const Request& request);
  std::string with_news(std::string answer) const;
  Response take_registration(const Request& request);
  Response fetch(const Request& request);
  Response report(const Request& request);
  void take_report(const wire::Report& report, wire::Reported& answer);
  void take_finished(const wire::FinishedItem& item, wire::Reported& answer);
  bool something_for(const wire::Fetch& call) const;
  void go_down();

  Fd listener_;
  int port_ = 0;
  std::thread acceptor_;
  std::list<std::thread> threads_;
  std::set<int> sockets_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false, down_ = false;
  int next_id_ = 0;
  std::string host_id_, secret_;
  std::deque<wire::LeaseGrant> waiting_;
  std::map<std::string, wire::Fetched> answers_;
  std::string newest_fetch_;
  std::map<std::string, wire::CancelOrder> cancels_;
  std::set<std::string> cancels_told_;
  model::HostMode mode_ = model::HostMode::run, mode_told_ = model::HostMode::run;
};

}  // namespace geres::host::test
