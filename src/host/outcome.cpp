// SPDX-License-Identifier: Apache-2.0
#include "host/outcome.h"

#include <csignal>
#include <cstring>

#include "base/bytes.h"
#include "base/duration.h"
#include "wire/job_channel.h"

namespace geres::host {
namespace {

using model::Outcome;

constexpr std::size_t kErrorBytesMax = 500;

// Made fit for JSON and for one line of a terminal.
std::string clean(std::string_view text) {
  std::string sentence = replace_bad_utf8(text);
  std::erase_if(sentence, [](unsigned char c) { return c < 32 || c == 127; });
  return std::string(utf8_prefix(sentence, kErrorBytesMax));
}

std::string signal_words(int number) {
  const char* name = ::sigabbrev_np(number);
  return "signal " + std::to_string(number) + (name != nullptr ? std::string(" (SIG") + name + ")" : std::string());
}

std::string with_last_line(std::string sentence, const std::string& line) {
  return line.empty() ? sentence : sentence + ": " + line;
}

std::string with_reason(std::string sentence, const std::string& reason) {
  return reason.empty() ? sentence : sentence + " (" + reason + ")";
}

Outcome outcome_of_code(int code, const EndFacts& facts) {
  switch (code) {
    case wire::kExitFinished:
      return Outcome::finished;
    case wire::kExitAborted:
      return Outcome::aborted;
    case wire::kExitPackage:
      return facts.library ? Outcome::package : Outcome::failed;
    case wire::kExitType:
      return facts.library ? Outcome::type : Outcome::failed;
    case wire::kExitLoader:
      return facts.library ? Outcome::lost : Outcome::failed;
    default:
      return Outcome::failed;
  }
}

void judge_exit(wire::FinishedItem& item, const wire::RunResult& run, const EndFacts& facts) {
  const int code = run.exitCode.value_or(wire::kExitFailed);
  item.outcome = outcome_of_code(code, facts);
  if (item.outcome == Outcome::finished) return;
  if (item.outcome == Outcome::package || item.outcome == Outcome::type)
    item.error = run.lastErrorLine.empty() ? "exit " + std::to_string(code) : run.lastErrorLine;
  else
    item.error = with_last_line(with_reason("exit " + std::to_string(code), run.reason), run.lastErrorLine);
}

void judge_end(wire::FinishedItem& item, const wire::RunResult& run, const EndFacts& facts) {
  switch (run.end) {
    case wire::RunEnd::exited:
      return judge_exit(item, run, facts);
    case wire::RunEnd::outOfMemory:
      item.cause = model::Cause::outOfMemory;
      if (run.memoryLimit > 0) item.memoryLimit = run.memoryLimit;
      [[fallthrough]];
    case wire::RunEnd::overLimit:
      item.outcome = Outcome::failed;
      item.error = "killed: " + run.reason;
      return;
    case wire::RunEnd::signalled:
      item.outcome = Outcome::failed;
      item.error = with_last_line(with_reason("killed by " + signal_words(run.signal.value_or(0)), run.reason),
                                  run.lastErrorLine);
      if (run.signal == SIGXFSZ) item.error = "killed: one of its files grew beyond the limit (--scratch-limit)";
      return;
    case wire::RunEnd::timeout:
      item.outcome = Outcome::timeout;
      item.error = "killed after " + format_duration(facts.timeout_ms) + " (timeout)";
      return;
    case wire::RunEnd::cancelled:
      item.outcome = Outcome::cancelled;
      item.error = "stopped by a cancel";
      return;
    case wire::RunEnd::drained:
      item.outcome = Outcome::released;
      item.error = "given back: its host was stopping";
      return;
    case wire::RunEnd::leaseExpired:
      item.outcome = Outcome::released;
      item.error = "given back: the hub could not be reached before the lease ended";
      return;
    case wire::RunEnd::startFailed:
      item.outcome = run.hostTrouble ? Outcome::lost : Outcome::failed;
      item.error = run.reason;
      return;
  }
}

}  // namespace

wire::FinishedItem judge(const std::string& lease, const wire::RunResult& run, const EndFacts& facts) {
  wire::FinishedItem item;
  item.lease = lease;
  judge_end(item, run, facts);
  item.error = clean(item.error);
  if (run.end == wire::RunEnd::startFailed) return item;
  if (run.exitCode || run.signal) item.exit = wire::ExitShape{run.exitCode, run.signal};
  item.usage = wire::UsageShape{run.cpuSeconds, run.maxRssBytes};
  return item;
}

wire::FinishedItem ended_without_run(const std::string& lease, Outcome outcome, std::string error) {
  wire::FinishedItem item;
  item.lease = lease;
  item.outcome = outcome;
  item.error = clean(error);
  return item;
}

bool has_result(Outcome outcome) {
  return outcome == Outcome::finished || outcome == Outcome::failed || outcome == Outcome::aborted ||
         outcome == Outcome::timeout || outcome == Outcome::cancelled;
}

}  // namespace geres::host
