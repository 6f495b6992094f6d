// SPDX-License-Identifier: Apache-2.0
// The agent's side of the runner: starts it, talks to it, and guards it. Agent and runner watch each other: the runner
// kills everything it runs and exits when the agent's end of the channel closes; the client kills a runner that does
// not answer its pings (and as PID 1 of its namespace the runner takes everything with it). See ARCHITECTURE.md, "Hosts
// and the runner".
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "wire/runner/runner_channel.h"

namespace geres::host {

class RunnerClient {
 public:
  struct Options {
    std::filesystem::path runner_path;  // the geres-runner program
    // The flock on the data directory. The runner (not the jobs) holds it too until nothing of it runs. Still owned by
    // the caller. -1: none.
    int lock_fd = -1;
    std::uint32_t slots = 1;  // RunSpec.slot is below this
    // A runner that leaves pings unanswered for so long is killed (ten times as long while it waits for a processor or
    // a disk); 0: never.
    Millis silence_ms_max = 1000;
    std::optional<wire::Containment> containment;  // insist on this kind (tests); launch fails where it does not work
    // What jobs of other users see (runner/view.h).
    std::vector<std::filesystem::path> reach;
    std::filesystem::path users, groups;
    std::vector<std::string> hidden;  // absolute paths that jobs with RunSpec.fences must not see
    bool own_pid_namespace = true;    // false: plain child, as on a machine that allows no namespaces (tests)
  };

  // All are called on the client's reader thread, one after the other. They must not block for long and must not call
  // close(); they may call start, stop and renew. Any may be left empty.
  struct Callbacks {
    std::function<void(const wire::RunStarted&)> started;
    std::function<void(const wire::RunProgress&)> progress;
    std::function<void(const wire::RunLog&)> log_grew;
    std::function<void(const wire::RunHeld&)> held;
    std::function<void(wire::RunResult)> exited;  // nothing of the attempt runs any more; its slot is free
    // The runner is dead, and so is everything it ran: these attempts have ended without a result. The last call, made
    // once, and not made by close().
    std::function<void(std::vector<std::string> keys, std::string why)> lost;
  };

  // Starts the runner and waits for its first message. Call it before the process has a second thread, while its memory
  // is small and no lock can be held. The error says what the machine refused.
  static Result<std::unique_ptr<RunnerClient>> launch(Options options);

  virtual ~RunnerClient() = default;  // close()

  // What the runner found: containment, own PID namespace, whether it can switch users. Constant.
  virtual const wire::RunnerHello& hello() const = 0;
  wire::Containment containment() const { return hello().containment; }
  virtual pid_t pid() const = 0;  // as this process sees it; -1 once it is dead

  // Starts the reader thread. Once, before the first start().
  virtual void attach(Callbacks callbacks) = 0;

  // Any thread. Each returns at once; a callback tells the outcome. After `lost` or close(), and for a spec above
  // wire::kFrameBytesMax, start() returns false and no callback follows; the others then do nothing.
  virtual bool start(const wire::RunSpec& spec) = 0;
  virtual void stop(const std::string& key, Millis grace_ms, wire::StopReason why, std::string reason = {}) = 0;
  virtual void renew(const std::string& key, wire::Deadline deadline) = 0;

  // Kills all attempts, ends the runner, waits until both are gone, ends the thread. No callback comes after it. Safe
  // to repeat; not from a callback.
  virtual void close() = 0;
};

}  // namespace geres::host
