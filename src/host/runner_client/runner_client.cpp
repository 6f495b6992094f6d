// SPDX-License-Identifier: Apache-2.0
#include "host/runner_client/runner_client.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/describe/enum_to_string.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#include "host/runner_client/own_group.h"
#include "host/runner_client/runner_process.h"

namespace geres::host {
namespace {

constexpr int kHelloMs = 15'000;
constexpr int kCloseMs = 15'000;
constexpr Millis kBusyPatience = 10;  // a runner that waits for a processor or a disk gets this many times as long

Error broken(const std::string& what) {
  return fail(Code::unavailable, what);
}

// In a cgroup and those below it, because cgroup.kill does not reach a process whose first thread has ended.
void kill_processes(const std::filesystem::path& cgroup) {
  std::ifstream processes(cgroup / "cgroup.procs");
  for (pid_t pid; processes >> pid;)
    if (pid > 0) ::kill(pid, SIGKILL);
  std::error_code ignored;
  for (const auto& below : std::filesystem::directory_iterator(cgroup, ignored))
    if (below.is_directory(ignored)) kill_processes(below.path());
}

class Client final : public RunnerClient {
 public:
  Client(Options options, RunnerProcess process, Fd channel)
      : options_(std::move(options)), process_(std::move(process)), channel_(std::move(channel)) {}
  ~Client() override { close(); }

  // Waits for the runner's first message, without a thread.
  std::optional<Error> await_hello() {
    const Millis end = clock_.monotonic() + kHelloMs;
    while (clock_.monotonic() < end) {
      pollfd waiting{channel_.get(), POLLIN, 0};
      if (poll(&waiting, 1, 100) <= 0) continue;
      if (!receive()) return broken("the runner ended at once");
      const auto document = reader_.next();
      if (!document) return document.error();
      if (!*document) continue;
      auto message = wire::read_from_runner(**document);
      if (!message) return message.error();
      if (!message->hello) return broken("the runner did not say hello");
      hello_ = std::move(*message->hello);
      if (!hello_.failed.empty()) return broken(hello_.failed);
      groups_ = hello_.limitGroups;
      if (!hello_.cgroup.empty()) groups_.insert(groups_.begin(), hello_.cgroup);
      if (!process_.detail.empty())
        hello_.detail = process_.detail + (hello_.detail.empty() ? "" : "; ") + hello_.detail;
      return std::nullopt;
    }
    return broken("the runner said nothing");
  }

  const wire::RunnerHello& hello() const override { return hello_; }

  pid_t pid() const override { return process_.pid; }

  void attach(Callbacks callbacks) override {
    callbacks_ = std::move(callbacks);
    wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    thread_ = std::thread([this] { read_on(); });
  }

  bool start(const wire::RunSpec& spec) override {
    wire::ToRunner message;
    message.start = spec;
    return send(message, &spec.key);
  }
  void stop(const std::string& key, Millis grace_ms, wire::StopReason why, std::string reason) override {
    wire::ToRunner message;
    message.stop = wire::StopRun{key, why, grace_ms, std::move(reason)};
    send(message);
  }
  void renew(const std::string& key, wire::Deadline deadline) override {
    wire::ToRunner message;
    message.renew = wire::RenewRun{key, deadline};
    send(message);
  }

  void close() override {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
      if (channel_) shutdown(channel_.get(), SHUT_RDWR);
    }
    wake();
    if (thread_.joinable()) thread_.join();
    bury(kCloseMs);
  }

 private:
  // ---- sending: any thread ----

  bool send(const wire::ToRunner& message, const std::string* new_key = nullptr) {
    std::string frame;
    wire::put_frame(frame, message);
    if (frame.size() > wire::kFrameBytesMax) return false;
    const std::lock_guard lock(mutex_);
    if (closing_ || lost_) return false;
    if (new_key != nullptr) keys_.insert(*new_key);
    unsent_ += frame;
    flush();
    if (!unsent_.empty()) wake();  // the reader thread waits until there is room
    return true;
  }

  void flush() {
    while (!unsent_.empty()) {
      const ssize_t sent = ::send(channel_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return;  // full, or broken: then the reader sees the end
      unsent_.erase(0, std::size_t(sent));
    }
  }

  void wake() {
    const std::uint64_t one = 1;
    if (wake_ && write(wake_.get(), &one, sizeof one) < 0) return;
  }

  // ---- the reader thread ----

  void read_on() {
    std::string why;
    while (why.empty()) {
      bool more = false;
      {
        const std::lock_guard lock(mutex_);
        if (closing_) return;
        more = !unsent_.empty();
      }
      pollfd waiting[2] = {{channel_.get(), short(POLLIN | (more ? POLLOUT : 0)), 0}, {wake_.get(), POLLIN, 0}};
      poll(waiting, 2, slice_ms());
      std::uint64_t ignored;
      if (waiting[1].revents != 0 && read(wake_.get(), &ignored, sizeof ignored) < 0) continue;
      if (waiting[0].revents & POLLOUT) {
        const std::lock_guard lock(mutex_);
        flush();
      }
      if (waiting[0].revents & ~POLLOUT) {
        if (!receive()) why = "the runner has ended";
        silent_ms_ = 0;
        handle_all(why);
      }
      if (why.empty()) why = watch_over();
    }
    give_up(why);
  }

  int slice_ms() const {
    return options_.silence_ms_max > 0 ? int(std::max<Millis>(options_.silence_ms_max / 8, 10)) : -1;
  }

  // Counts the runner's silence in slices during which this thread really looked, so that time in which the agent
  // itself was stopped or starved does not count.
  std::string watch_over() {
    if (options_.silence_ms_max <= 0) return {};
    const Millis now = clock_.monotonic();
    const Millis passed = std::min<Millis>(now - watched_at_, slice_ms() * 2);
    if (watched_at_ != 0 && pinged_) silent_ms_ += passed;
    watched_at_ = now;
    if (silent_ms_ <= options_.silence_ms_max) return ping();
    const bool patient = silent_ms_ < kBusyPatience * options_.silence_ms_max && process_.is_busy();
    if (patient) return {};
    return "the runner was silent for " + std::to_string(silent_ms_) + " ms and was killed";
  }

  std::string ping() {
    const Millis now = clock_.monotonic();
    if (!pinged_ && now - heard_at_ >= slice_ms()) {
      pinged_ = true;
      wire::ToRunner message;
      message.ping = wire::RunnerPing{++pings_};
      send(message);
    }
    return {};
  }

  // False: the other end is closed.
  bool receive() {
    char buffer[64 * 1024];
    ssize_t got;
    do got = recv(channel_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0) return false;
    heard_at_ = clock_.monotonic();
    pinged_ = false;
    reader_.add({buffer, std::size_t(got)});
    return true;
  }

  void handle_all(std::string& why) {
    for (;;) {
      const auto document = reader_.next();
      if (!document) {
        why = "the runner sent nonsense: " + document.error().message;
        return;
      }
      if (!*document) return;
      auto message = wire::read_from_runner(**document);
      if (!message) {
        why = "the runner sent nonsense: " + message.error().message;
        return;
      }
      handle(std::move(*message));
    }
  }

  void handle(wire::FromRunner message) {
    if (message.started && callbacks_.started) callbacks_.started(*message.started);
    if (message.progress && callbacks_.progress) callbacks_.progress(*message.progress);
    if (message.log && callbacks_.log_grew) callbacks_.log_grew(*message.log);
    if (message.held && callbacks_.held) callbacks_.held(*message.held);
    if (message.exited) {
      {
        const std::lock_guard lock(mutex_);
        keys_.erase(message.exited->key);
      }
      if (callbacks_.exited) callbacks_.exited(std::move(*message.exited));
    }
  }

  void give_up(const std::string& why) {
    std::vector<std::string> keys;
    {
      const std::lock_guard lock(mutex_);
      if (closing_) return;
      lost_ = true;
      keys.assign(keys_.begin(), keys_.end());
      keys_.clear();
    }
    process_.kill();
    bury(-1);
    if (callbacks_.lost) callbacks_.lost(std::move(keys), why);
  }

  // Waits until nothing of the runner is left, and kills it after `ms`. Its namespace dies with it; without a namespace
  // its cgroups, if any, are emptied from here.
  void bury(int ms) {
    if (ms < 0 || !process_.wait_dead(ms)) {
      process_.kill();
      process_.wait_dead(-1);
    }
    for (const auto& group : groups_) clear_cgroups(group);
    groups_.clear();
  }

  static void clear_cgroups(const std::string& directory) {
    const Fd fd(open((directory + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC));
    if (fd && write(fd.get(), "1", 1) < 0) return;
    for (int tries = 0; tries < 100; ++tries) {
      std::error_code ignored;
      if (tries > 0) kill_processes(directory);
      for (const auto& slot : std::filesystem::directory_iterator(directory, ignored)) rmdir(slot.path().c_str());
      if (rmdir(directory.c_str()) == 0 || errno == ENOENT) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  Options options_;
  RunnerProcess process_;
  Fd channel_, wake_;
  SystemClock clock_;
  wire::RunnerHello hello_;
  std::vector<std::string> groups_;  // cgroups to be removed
  Callbacks callbacks_;
  std::thread thread_;
  wire::FrameReader reader_;
  Millis silent_ms_ = 0, watched_at_ = 0, heard_at_ = 0;
  std::int64_t pings_ = 0;
  bool pinged_ = false;

  std::mutex mutex_;  // guards what follows, and writes to the channel
  std::string unsent_;
  std::set<std::string> keys_;  // started and not ended
  bool closing_ = false;
  bool lost_ = false;
};

}  // namespace

Result<std::unique_ptr<RunnerClient>> RunnerClient::launch(Options options) {
  stand_aside(own_group());
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return broken(std::string("socketpair: ") + std::strerror(errno));
  Fd ours(ends[0]), theirs(ends[1]);
  std::vector<std::string> arguments = {"--slots", std::to_string(options.slots)};
  if (options.containment) {
    arguments.push_back("--containment");
    arguments.push_back(boost::describe::enum_to_string(*options.containment, "?"));
  }
  const auto add = [&](const char* flag, const std::filesystem::path& path) {
    if (!path.empty()) arguments.insert(arguments.end(), {flag, path.native()});
  };
  for (const auto& path : options.reach) add("--reach", path);
  add("--users", options.users);
  add("--groups", options.groups);
  for (const auto& path : options.hidden) arguments.insert(arguments.end(), {"--hide", path});
  auto process = start_runner_process(options.runner_path, std::move(arguments), theirs.get(), options.lock_fd,
                                      options.own_pid_namespace);
  if (!process) return process.error();
  theirs.reset();
  auto client = std::make_unique<Client>(std::move(options), std::move(*process), std::move(ours));
  if (const auto failed = client->await_hello()) return *failed;
  return Result<std::unique_ptr<RunnerClient>>(std::move(client));
}

}  // namespace geres::host
