// SPDX-License-Identifier: Apache-2.0
// What the host's agent and its runner say to each other, over a SOCK_STREAM socketpair. A frame is four bytes of
// length (little endian, of what follows, at most kFrameBytesMax) and one JSON document: a ToRunner from the agent, a
// FromRunner from the runner, with exactly one member set. Frames are put into one buffer and sent together.
// Strings are bytes: paths and environments need not be UTF-8 (only what a job is allowed to say to us is cleaned).
// All times are CLOCK_BOOTTIME in milliseconds (SystemClock::monotonic), which both sides share.
#pragma once

#include <boost/describe/class.hpp>
#include <boost/describe/enum.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace geres::wire {

// The cgroup (v2) that agent and runner move to, below the one they were started in: a group that has processes of its
// own cannot limit those below it.
inline constexpr std::string_view kHostGroup = "geres.host";

// What keeps an attempt's processes together, best first. Only bestEffort can be left by a process that wants to.
enum class Containment { cgroup2, freezer, pidns, bestEffort };
BOOST_DESCRIBE_ENUM(Containment, cgroup2, freezer, pidns, bestEffort)

// How attempts are held to a limit: by a cgroup of the kernel, or only looked at now and then.
enum class LimitHeld { watched, cgroup1, cgroup2 };
BOOST_DESCRIBE_ENUM(LimitHeld, watched, cgroup1, cgroup2)

// Why an attempt was told to stop (TERM, grace, KILL). The agent may ask for cancel, drain and limit.
enum class StopReason { cancel, drain, timeout, lease, limit, memory };
BOOST_DESCRIBE_ENUM(StopReason, cancel, drain, timeout, lease, limit, memory)

// How an attempt ended. Once TERM was sent, the reason for it is the end, whatever the exit code says. outOfMemory:
// some process of it was killed for want of memory, whatever became of the others.
enum class RunEnd { exited, signalled, timeout, cancelled, drained, leaseExpired, startFailed, overLimit, outOfMemory };
BOOST_DESCRIBE_ENUM(RunEnd, exited, signalled, timeout, cancelled, drained, leaseExpired, startFailed, overLimit,
                    outOfMemory)

// When the lease runs out. TERM goes out min(graceMs, termBeforeMs) before atMs, KILL at atMs. atMs 0: never.
struct Deadline {
  Millis atMs = 0;
  Millis termBeforeMs = 0;
};
BOOST_DESCRIBE_STRUCT(Deadline, (), (atMs, termBeforeMs))

// RLIMIT values, absent ones stay as the runner has them; and what the whole tree may have. What the kernel does not
// hold it to (RunnerHello.memoryHeld, .tasksHeld), and treeProcesses, the runner looks at a few times a second: an
// attempt that has more is killed at once (outOfMemory, overLimit).
struct RunLimits {
  std::optional<std::int64_t> openFiles;
  std::optional<std::int64_t> processes;  // RLIMIT_NPROC: counts all processes of the uid
  std::optional<std::int64_t> fileBytes;
  std::int64_t coreBytes = 0;
  std::optional<std::int64_t> treeProcesses;
  std::optional<std::int64_t> treeTasks;  // processes and threads; by the kernel or not at all: fork fails
  std::optional<std::int64_t> treeMemoryBytes;
  bool outOfMemoryEnds = true;  // false: a process that was killed for want of memory is the job's own affair
};
BOOST_DESCRIBE_STRUCT(RunLimits, (),
                      (openFiles, processes, fileBytes, coreBytes, treeProcesses, treeTasks, treeMemoryBytes,
                       outOfMemoryEnds))

// What of the machine's files an attempt may touch besides what the runner was told at its start (runner/fences.h).
// Absolute paths, which must exist; a directory means all below it.
struct RunFences {
  std::vector<std::string> writable;
  std::vector<std::string> readable;  // and executable
};
BOOST_DESCRIBE_STRUCT(RunFences, (), (writable, readable))

struct RunSpec {
  std::string key;         // names the attempt in every message: the lease
  std::uint32_t slot = 0;  // 0 … slots-1, free; one containment per slot, reused
  std::string executable;  // what is executed; empty: argv[0], searched in env's PATH when it has no slash
  std::vector<std::string> argv;
  std::vector<std::string> env;  // "NAME=value", complete: nothing is added
  std::string workDirectory;     // absolute
  std::string stdoutPath;        // made at the first byte (absent when nothing was printed); must not exist before
  std::string stderrPath;        //   and lie where the job cannot write. Empty: the output is dropped
  // The FIFO, made by the runner; empty: none. Cheapest if each slot has one path for ever: then it is used again. It
  // is removed when the slot's next attempt has another path, and at the end.
  std::string progressPath;
  std::int64_t logBytesMax =
      64 << 20;           // per stream: its beginning and its end; a line between says how much was left out
  std::uint32_t uid = 0;  // 0: the runner's own
  std::uint32_t gid = 0;  // used when uid is not 0
  RunLimits limits;
  std::optional<RunFences> fences;  // absent: whatever its user may
  Millis timeoutMs = 0;             // counted from the start; 0: none
  Millis graceMs = 10'000;          // between TERM and KILL at the timeout and at the end of the lease
  Deadline deadline;
};
BOOST_DESCRIBE_STRUCT(RunSpec, (),
                      (key, slot, executable, argv, env, workDirectory, stdoutPath, stderrPath, progressPath,
                       logBytesMax, uid, gid, limits, fences, timeoutMs, graceMs, deadline))

struct StopRun {
  std::string key;
  StopReason why = StopReason::cancel;
  Millis graceMs = 10'000;  // a later stop may shorten it
  std::string reason;       // limit: which one, for RunResult.reason
};
BOOST_DESCRIBE_STRUCT(StopRun, (), (key, why, graceMs, reason))

struct RenewRun {
  std::string key;
  Deadline deadline;
};
BOOST_DESCRIBE_STRUCT(RenewRun, (), (key, deadline))

struct RunnerPing {
  std::int64_t n = 0;
};
BOOST_DESCRIBE_STRUCT(RunnerPing, (), (n))

struct ToRunner {
  std::optional<RunSpec> start;
  std::optional<StopRun> stop;
  std::optional<RenewRun> renew;
  std::optional<RunnerPing> ping;
};
BOOST_DESCRIBE_STRUCT(ToRunner, (), (start, stop, renew, ping))

// The runner's first message.
struct RunnerHello {
  Containment containment = Containment::bestEffort;
  bool pidNamespace = false;   // the runner is PID 1 of its own namespace: if it dies, all it started dies
  bool canSwitchUser = false;  // RunSpec.uid can be used
  std::string detail;          // one sentence for the host's log: what was found, what was refused
  std::string cgroup;          // the directory of the containment's cgroups, if any
  LimitHeld memoryHeld = LimitHeld::watched;  // by the kernel: to treeMemoryBytes, all that they use, to the page
  LimitHeld tasksHeld = LimitHeld::watched;   // … to treeTasks
  std::string limitsDetail;                   // one sentence for people: why one is watched; empty: none is
  int landlock = 0;                           // version of the kernel's; 0: RunSpec.fences is refused
  std::vector<std::string> limitGroups;       // directories of cgroups for the limits alone
  std::string failed;                         // not empty: the runner cannot work, because of this, and ends
};
BOOST_DESCRIBE_STRUCT(RunnerHello, (),
                      (containment, pidNamespace, canSwitchUser, detail, cgroup, memoryHeld, tasksHeld, limitsDetail,
                       landlock, limitGroups, failed))

struct RunStarted {
  std::string key;
  std::int64_t pid = 0;  // as the runner sees it (its own PID namespace)
  Millis atMs = 0;
};
BOOST_DESCRIBE_STRUCT(RunStarted, (), (key, pid, atMs))

struct RunProgress {
  std::string key;
  std::optional<std::int32_t> percent;  // 0 … 100
  std::string message;                  // clean UTF-8, one line; empty: none given
};
BOOST_DESCRIBE_STRUCT(RunProgress, (), (key, percent, message))

// The files now hold this much. Sent when they have grown, at most every 100 ms, and before `exited`.
struct RunLog {
  std::string key;
  std::int64_t stdoutBytes = 0;
  std::int64_t stderrBytes = 0;
};
BOOST_DESCRIBE_STRUCT(RunLog, (), (key, stdoutBytes, stderrBytes))

// What its processes hold of files that were deleted while open, on the disk of their working directory. Nobody finds
// it by walking a directory. Sent when it has changed.
struct RunHeld {
  std::string key;
  std::int64_t bytes = 0;
};
BOOST_DESCRIBE_STRUCT(RunHeld, (), (key, bytes))

struct StreamResult {
  std::int64_t printedBytes = 0;  // what the job wrote
  std::int64_t keptBytes = 0;     // what the file holds, the line that says "cut" included
  bool cut = false;
};
BOOST_DESCRIBE_STRUCT(StreamResult, (), (printedBytes, keptBytes, cut))

// Sent once nothing of the attempt runs any more.
struct RunResult {
  std::string key;
  RunEnd end = RunEnd::exited;
  std::string reason;        // startFailed, overLimit, outOfMemory, or what may explain a bad end: for people
  bool hostTrouble = false;  // startFailed for want of memory, processes, descriptors …: not the job's fault
  std::optional<std::int32_t> exitCode;
  std::optional<std::int32_t> signal;
  std::optional<StopReason> stopped;  // TERM was sent, and why
  bool killed = false;                // … and KILL after it
  double cpuSeconds = 0;              // of the whole tree where the kernel tells, else of the waited-for part
  std::int64_t maxRssBytes = 0;       // the largest single process
  std::int64_t memoryLimit = 0;       // outOfMemory: that it ran into; 0: the machine had no more
  Millis ranMs = 0;
  StreamResult stdout_;
  StreamResult stderr_;
  std::string lastErrorLine;  // of stderr, at most 300 bytes of clean UTF-8
};
BOOST_DESCRIBE_STRUCT(RunResult, (),
                      (key, end, reason, hostTrouble, exitCode, signal, stopped, killed, cpuSeconds, maxRssBytes,
                       memoryLimit, ranMs, stdout_, stderr_, lastErrorLine))

struct FromRunner {
  std::optional<RunnerHello> hello;
  std::optional<RunStarted> started;
  std::optional<RunProgress> progress;
  std::optional<RunLog> log;
  std::optional<RunHeld> held;
  std::optional<RunResult> exited;
  std::optional<RunnerPing> pong;
};
BOOST_DESCRIBE_STRUCT(FromRunner, (), (hello, started, progress, log, held, exited, pong))

inline constexpr std::size_t kFrameBytesMax = 8 << 20;

// Appends one frame to `buffer`.
void put_frame(std::string& buffer, const ToRunner& message);
void put_frame(std::string& buffer, const FromRunner& message);

// Takes frames out of a stream of bytes. One per connection and direction.
class FrameReader {
 public:
  void add(std::string_view bytes) { buffer_.append(bytes); }
  // The next whole frame's document, valid until add() or next(); nullopt: more bytes are needed. A length above
  // kFrameBytesMax is an error: the peer is broken, give up the connection.
  Result<std::optional<std::string_view>> next();

 private:
  std::string buffer_;
  std::size_t taken_ = 0;
};

Result<ToRunner> read_to_runner(std::string_view document);
Result<FromRunner> read_from_runner(std::string_view document);

}  // namespace geres::wire
