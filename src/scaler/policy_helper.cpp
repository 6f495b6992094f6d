// SPDX-License-Identifier: Apache-2.0
#include "scaler/policy_helper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <system_error>

#include "base/backoff.h"
#include "base/bytes.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/process.h"
#include "scaler/policies.h"
#include "scaler/settings.h"

namespace geres::scaler {
namespace {

constexpr Millis kTimeMost = 60'000;
constexpr std::size_t kLineMax = 64 * 1024;
constexpr Millis kPauseFirst = 1'000, kPauseMost = 60'000;
constexpr rlim_t kCpuSeconds = 2;
constexpr int kTold = 5;  // failures in a row

class BuiltIn final : public Decider {
 public:
  explicit BuiltIn(std::unique_ptr<policy::Policy> policy) : policy_(std::move(policy)) {}
  Result<policy::Wanted> decide(const policy::Load& load) override { return policy_->decide(load); }

 private:
  std::unique_ptr<policy::Policy> policy_;
};

// From now on so many seconds, and not in all: it is the same process for many decisions.
void limit_cpu(pid_t pid) {
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return;
  const rlimit both{rlim_t(used.tv_sec) + 1 + kCpuSeconds, RLIM_INFINITY};
  ::prlimit(pid, RLIMIT_CPU, &both, nullptr);
}

}  // namespace

Result<std::unique_ptr<Decider>> PolicyHelper::make(const Pool& pool, const std::filesystem::path& program,
                                                    const Clock& clock) {
  std::unique_ptr<PolicyHelper> made(new PolicyHelper(clock));
  const json::value all(pool.policy_settings);
  std::optional<Error> error;
  const Settings from(all, "", error);
  made->argv_ = {program.string()};
  if (pool.policy == "library") {
    const auto library = from.text("library");
    if (library.empty())
      from.wrong("library", "'library' is missing", "the path of a library made with <geres/policy.h>");
    made->argv_.push_back(library);
  } else {
    std::vector<std::string> command;
    from.texts("command", command);
    if (command.empty())
      from.wrong("command", "'command' is missing", "the program and its arguments, [\"/etc/geres/policy.py\"]");
    made->argv_.emplace_back("--");
    made->argv_.insert(made->argv_.end(), command.begin(), command.end());
  }
  from.duration("policyTimeout", made->time_max_, 100);
  made->time_max_ = std::min(made->time_max_, kTimeMost);
  if (error) return *error;
  made->pool_ = pool.name;
  made->settings_ = boost::json::serialize(pool.policy_settings);
  return std::unique_ptr<Decider>(std::move(made));
}

PolicyHelper::~PolicyHelper() {
  end();
}

void PolicyHelper::start() {
  int in[2], out[2];
  // A socket as its input, since writing to one can be told not to raise a signal.
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0)
    throw std::system_error(errno, std::generic_category(), "socketpair");
  in_ = Fd(in[0]);
  const Fd its_in(in[1]);
  if (::pipe2(out, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  out_ = Fd(out[0]);
  const Fd its_out(out[1]);
  ::fcntl(in_.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(out_.get(), F_SETFL, O_NONBLOCK);
  received_.clear();
  pid_ = start_program({argv_, {}, {}}, its_in.get(), its_out.get(), -1);
}

void PolicyHelper::end() {
  in_.reset(), out_.reset();
  if (pid_ == 0) return;
  ::kill(-pid_, SIGKILL);
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

// Its output has ended; whether it itself has is seen soon after, or never.
std::string PolicyHelper::how_it_ended() {
  for (int i = 0; i < 50; ++i) {
    siginfo_t info{};
    if (::waitid(P_PID, id_t(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_)
      return (info.si_code == CLD_EXITED ? "it ended with exit code " : "it was killed by signal ") +
             std::to_string(info.si_status);
    ::usleep(2'000);
  }
  return "it closed its output";
}

bool PolicyHelper::send(const std::string& line, Millis until) {
  for (std::size_t at = 0; at < line.size();) {
    const auto n = ::send(in_.get(), line.data() + at, line.size() - at, MSG_NOSIGNAL);
    if (n > 0) {
      at += std::size_t(n);
      continue;
    }
    const Millis left = until - clock_.monotonic();
    if (errno != EAGAIN || left <= 0) return false;
    pollfd polled{in_.get(), POLLOUT, 0};
    ::poll(&polled, 1, int(left));
  }
  return true;
}

std::optional<std::string> PolicyHelper::receive(Millis until, std::string& why) {
  for (;;) {
    if (const auto end = received_.find('\n'); end != std::string::npos) {
      auto line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    const Millis left = until - clock_.monotonic();
    if (left <= 0) {
      why = "it took longer than " + format_duration(time_max_);
      return std::nullopt;
    }
    pollfd polled{out_.get(), POLLIN, 0};
    ::poll(&polled, 1, int(left));
    char piece[4096];
    const auto n = ::read(out_.get(), piece, sizeof piece);
    if (n > 0) received_.append(piece, std::size_t(n));
    if (n == 0) {
      why = how_it_ended();
      return std::nullopt;
    }
    if (received_.size() > kLineMax) {
      why = "its answer is too long";
      return std::nullopt;
    }
  }
}

Result<policy::Wanted> PolicyHelper::failed(const std::string& why) {
  end();
  ++failures_;
  last_ = std::string(utf8_prefix(plain_line(why), 120));
  again_at_ = clock_.monotonic() + backoff(failures_, kPauseFirst, kPauseMost);
  if (failures_ == kTold)
    log::event(log::Level::err, "policy fails again and again", {{"pool", pool_}, {"reason", last_}});
  return fail(Code::badValue, last_);
}

Result<policy::Wanted> PolicyHelper::decide(const policy::Load& load) {
  if (pid_ == 0 && failures_ > 0 && clock_.monotonic() < again_at_)
    return fail(Code::badValue, last_ + " (it is started again soon)");
  const Millis until = clock_.monotonic() + time_max_;
  if (pid_ == 0) {
    try {
      start();
    } catch (const std::system_error& trouble) {
      return failed(trouble.what());
    }
  }
  limit_cpu(pid_);
  if (!received_.empty()) return failed("it answered what it was not asked: " + received_);
  const auto line = "{\"settings\":" + settings_ + ",\"load\":" + policy::write_load(load).write() + "}\n";
  std::string why;
  if (!send(line, until)) {
    // It may have said why before it went.
    const auto said = receive(clock_.monotonic() + 100, why);
    return failed(said ? *said : why);
  }
  const auto answer = receive(until, why);
  if (!answer) return failed(why);
  try {
    const auto said = policy::Json::parse(*answer);
    if (const auto error = said["error"].text(); !error.empty()) return failed(error);
    const auto hosts = said["hosts"].whole();
    if (!hosts) return failed("this is no answer: " + *answer);
    failures_ = 0;
    return policy::Wanted{*hosts, said["reason"].text()};
  } catch (const std::invalid_argument&) {
    return failed("this is no answer: " + *answer);
  }
}

Result<std::unique_ptr<Decider>> make_decider(const Pool& pool, const std::filesystem::path& program,
                                              const Clock& clock) {
  if (pool.policy == "library" || pool.policy == "command") return PolicyHelper::make(pool, program, clock);
  auto made = make_policy(pool.policy, pool.policy_settings);
  if (!made) return made.error();
  return std::unique_ptr<Decider>(std::make_unique<BuiltIn>(std::move(*made)));
}

}  // namespace geres::scaler
