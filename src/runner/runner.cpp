// SPDX-License-Identifier: Apache-2.0
#include "runner/runner.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <sstream>
#include <system_error>

#include "base/file.h"
#include "runner/attempt.h"
#include "runner/containment.h"
#include "runner/descriptors.h"
#include "runner/slot_limits.h"

namespace geres::runner {
namespace {

// The tags of epoll events: the channel, dead children, the timer, or a source of an attempt. The last consists of
// slot, number of the attempt in that slot, and descriptor, because an event that was already fetched may belong to the
// slot's earlier attempt.
constexpr std::uint64_t kChannel = ~0ULL;
constexpr std::uint64_t kChildren = ~0ULL - 1;
constexpr std::uint64_t kTimer = ~0ULL - 2;
// An agent that does not keep up gets no more progress until it has read.
constexpr std::size_t kUnsentBytesMax = 1 << 20;
constexpr int kRunnerNice = -5;
constexpr Millis kLookMs = 200;  // between two looks at one attempt's processes
constexpr Millis kLookRest = 30;

[[noreturn]] void throw_errno(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

bool can_switch_user() {
  if (geteuid() != 0) return false;
  std::istringstream map(read_file_if("/proc/self/uid_map").value_or(""));
  std::uint64_t inside = 0, outside = 0, count = 0, sum = 0;
  while (map >> inside >> outside >> count) sum += count;
  return sum > 1;
}

// How many open files the fences may use: what the attempts do not need.
std::size_t names_max(std::uint32_t slots) {
  constexpr rlim_t kOwn = 128, kOfSlot = 16, kLeast = 64;
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return kLeast;
  const rlim_t others = kOwn + kOfSlot * slots;
  return std::max(kLeast, files.rlim_cur > others ? files.rlim_cur - others : 0);
}

class Runner {
 public:
  Runner(const RunnerOptions& options, const rlimit& files, std::unique_ptr<ContainmentKind> containment,
         std::unique_ptr<SlotLimits> limits, const std::string& detail)
      : channel_(options.channel_fd),
        files_(files),
        containment_(std::move(containment)),
        limits_(std::move(limits)),
        fences_(options.hidden, names_max(options.slots)),
        slots_(options.slots) {
    prepare_process();
    epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    timer_ = Fd(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    children_ = Fd(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
    null_ = Fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!epoll_ || !timer_ || !children_ || !null_) throw_errno("set up the runner");
    fcntl(channel_, F_SETFL, fcntl(channel_, F_GETFL) | O_NONBLOCK);
    watch(channel_, EPOLLIN, kChannel);
    watch(children_.get(), EPOLLIN, kChildren);
    watch(timer_.get(), EPOLLIN, kTimer);
    say_hello(detail);
  }

  void loop() {
    for (;;) {
      flush();
      if (closing_ && running_ == 0) return;  // flush() may have found that the agent is gone
      wait();
      settle();
    }
  }

 private:
  struct Slot {
    Progress progress;
    std::unique_ptr<Attempt> attempt;
    std::uint32_t count = 0;
  };

  void say_hello(const std::string& detail) {
    wire::FromRunner message;
    auto& hello = message.hello.emplace();
    hello.containment = containment_->kind();
    hello.pidNamespace = getpid() == 1;
    hello.canSwitchUser = can_switch_user();
    hello.detail = detail;
    hello.cgroup = containment_->directory();
    hello.memoryHeld = limits_->memory_held();
    hello.tasksHeld = limits_->tasks_held();
    hello.limitsDetail = limits_->missing();
    hello.landlock = fences_.usable() ? fences_.abi() : 0;
    hello.limitGroups = limits_->directories();
    wire::put_frame(outbox_, message);
  }

  void prepare_process() {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);  // a child inherits ignored signals
    // So that leases are kept even on an overloaded machine.
    if (getpriority(PRIO_PROCESS, 0) == 0 && setpriority(PRIO_PROCESS, 0, kRunnerNice) == 0) nice_ = kRunnerNice;
    // Where autogroup is on, its niceness outweighs the process's.
    const Fd autogroup(open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC));
    if (autogroup && nice_ != 0) [[maybe_unused]]
      const ssize_t ignored = write(autogroup.get(), "-5", 2);
  }

  void watch(int fd, std::uint32_t events, std::uint64_t tag) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = tag;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) throw_errno("watch a descriptor");
  }

  Millis now() const { return clock_.monotonic(); }
  bool news_welcome() const { return outbox_.size() < kUnsentBytesMax; }

  // ---- waiting ----

  void wait() {
    epoll_event events[64];
    const int count = epoll_wait(epoll_.get(), events, 64, arm_timer() ? -1 : 0);
    if (count < 0 && errno != EINTR) throw_errno("epoll_wait");
    for (int i = 0; i < count; ++i) handle(events[i].data.u64, events[i].events);
    look_at_processes();
  }

  // Looks at the processes of one attempt after the other, each a few times a second, and limits its share of the time
  // however many processes there are.
  void look_at_processes() {
    const Millis at = now();
    if (running_ == 0 || at < look_at_) return;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      look_slot_ = (look_slot_ + 1) % slots_.size();
      const auto& attempt = slots_[look_slot_].attempt;
      if (!attempt || !attempt->wants_look(at)) continue;
      attempt->look(at);
      const Millis end = now();
      look_at_ = end + std::max<Millis>({1, kLookMs / Millis(running_), (end - at) * kLookRest});
      return;
    }
    look_at_ = at + kLookMs;
  }

  // False: something is already due.
  bool arm_timer() {
    Millis due = running_ > 0 ? std::max<Millis>(look_at_, 1) : 0;
    for (const auto& slot : slots_) {
      if (!slot.attempt) continue;
      const Millis at = slot.attempt->due(news_welcome());
      if (at != 0 && (due == 0 || at < due)) due = at;
    }
    if (due != 0 && due <= now()) return false;
    if (due == armed_) return true;
    armed_ = due;
    itimerspec spec{};
    spec.it_value.tv_sec = due / 1000;
    spec.it_value.tv_nsec = due % 1000 * 1'000'000;
    timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
    return true;
  }

  void handle(std::uint64_t tag, std::uint32_t events) {
    if (tag == kChannel) return handle_channel(events);
    if (tag == kChildren) return reap();
    if (tag == kTimer) {
      std::uint64_t expirations;
      if (read(timer_.get(), &expirations, sizeof expirations) > 0) armed_ = 0;
      return;
    }
    auto& slot = slots_[tag >> 40];
    if (slot.attempt && (slot.count & 0xFFFFFFFF) == ((tag >> 8) & 0xFFFFFFFF))
      slot.attempt->readable(Source(tag & 0xFF));
  }

  void reap() {
    signalfd_siginfo ignored[16];
    while (read(children_.get(), ignored, sizeof ignored) == ssize_t(sizeof ignored)) {
    }
    int status = 0;
    rusage usage{};
    pid_t pid;
    while ((pid = wait4(-1, &status, WNOHANG | __WALL, &usage)) > 0)
      for (auto& slot : slots_)
        if (slot.attempt && slot.attempt->pid() == pid) slot.attempt->reaped(status, usage, now());
  }

  // Advances all attempts to the present, tells the agent what is new, frees the slots of those that have ended.
  void settle() {
    const Millis at = now();
    for (auto& slot : slots_) {
      if (!slot.attempt) continue;
      slot.attempt->advance(at);
      slot.attempt->tell(outbox_, at, news_welcome());
      if (slot.attempt->ended()) slot.attempt.reset(), --running_;
    }
  }

  // ---- the agent ----

  void handle_channel(std::uint32_t events) {
    if (events & EPOLLOUT) flush();
    if ((events & ~std::uint32_t{EPOLLOUT}) == 0 || closing_) return;
    char buffer[64 * 1024];
    for (;;) {
      const ssize_t got = recv(channel_, buffer, sizeof buffer, 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
      if (got <= 0) return close();
      reader_.add({buffer, std::size_t(got)});
      if (std::size_t(got) < sizeof buffer) break;
    }
    for (;;) {
      const auto document = reader_.next();
      if (!document) return close();
      if (!*document) return;
      auto message = wire::read_to_runner(**document);
      if (!message) {
        std::fprintf(stderr, "geres-runner: message not understood: %s %s\n", message.error().field.c_str(),
                     message.error().message.c_str());
        return close();
      }
      obey(std::move(*message));
    }
  }

  void obey(wire::ToRunner message) {
    if (message.start) start(std::move(*message.start));
    if (message.stop)
      if (auto* attempt = find(message.stop->key)) attempt->stop(*message.stop, now());
    if (message.renew)
      if (auto* attempt = find(message.renew->key)) attempt->renew(message.renew->deadline);
    if (message.ping) {
      wire::FromRunner pong;
      pong.pong = message.ping;
      wire::put_frame(outbox_, pong);
    }
  }

  void start(wire::RunSpec spec) {
    if (spec.slot >= slots_.size() || slots_[spec.slot].attempt) {
      wire::FromRunner refusal;
      refusal.exited.emplace();
      refusal.exited->key = spec.key;
      refusal.exited->end = wire::RunEnd::startFailed;
      refusal.exited->reason = "slot " + std::to_string(spec.slot) + " is not free";
      refusal.exited->hostTrouble = true;
      wire::put_frame(outbox_, refusal);
      return;
    }
    auto& slot = slots_[spec.slot];
    const Surroundings around{*containment_, *limits_,    fences_, slot.progress,
                              epoll_.get(),  null_.get(), nice_,   files_};
    slot.attempt = std::make_unique<Attempt>(std::move(spec), around);
    ++slot.count;
    ++running_;
    slot.attempt->start(now());
    const auto number = std::uint64_t(&slot - slots_.data());
    slot.attempt->watch(number << 40 | std::uint64_t{slot.count} << 8);
  }

  Attempt* find(const std::string& key) {
    for (auto& slot : slots_)
      if (slot.attempt && slot.attempt->key() == key) return slot.attempt.get();
    return nullptr;
  }

  void flush() {
    while (!outbox_.empty() && !closing_) {
      const ssize_t sent = send(channel_, outbox_.data(), outbox_.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0 && errno != EAGAIN) return close();
      if (sent < 0) return want_to_send(true);
      outbox_.erase(0, std::size_t(sent));
    }
    want_to_send(false);
  }

  void want_to_send(bool yes) {
    if (yes == wants_to_send_ || closing_) return;
    wants_to_send_ = yes;
    epoll_event event{};
    event.events = EPOLLIN | (yes ? EPOLLOUT : 0U);
    event.data.u64 = kChannel;
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, channel_, &event);
  }

  // The agent is gone, and nothing that it started may outlive it.
  void close() {
    if (closing_) return;
    closing_ = true;
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, channel_, nullptr);
    for (auto& slot : slots_)
      if (slot.attempt) slot.attempt->kill_now(now());
  }

  int channel_;
  rlimit files_;
  std::unique_ptr<ContainmentKind> containment_;
  std::unique_ptr<SlotLimits> limits_;
  Fences fences_;
  std::vector<Slot> slots_;
  SystemClock clock_;
  Fd epoll_, timer_, children_, null_;
  int nice_ = 0;
  std::size_t running_ = 0;
  Millis armed_ = 0;
  Millis look_at_ = 0;  // when the next attempt's processes are looked at
  std::size_t look_slot_ = 0;
  wire::FrameReader reader_;
  std::string outbox_;
  bool wants_to_send_ = false;
  bool closing_ = false;
};

}  // namespace

namespace {

int say_failed(const RunnerOptions& options, const Error& why) {
  wire::FromRunner hello;
  hello.hello.emplace().failed = why.message;
  std::string frame;
  wire::put_frame(frame, hello);
  write_all(options.channel_fd, frame);
  return 1;
}

}  // namespace

int run(const RunnerOptions& options) {
  const rlimit files = take_all_descriptors();
  std::string detail, names_trouble;
  if (const auto trouble = make_view(options.view, names_trouble))
    return say_failed(options, fail(Code::internal, *trouble));
  auto containment = make_containment(options.slots, options.containment, detail);
  if (!containment) return say_failed(options, containment.error());
  auto limits = SlotLimits::make(options.slots, **containment);
  if (!limits) return say_failed(options, limits.error());
  if (!names_trouble.empty()) detail += (detail.empty() ? "" : "; ") + names_trouble;
  Runner runner(options, files, std::move(*containment), std::move(*limits), detail);
  runner.loop();
  return 0;
}

}  // namespace geres::runner
