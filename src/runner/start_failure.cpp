// SPDX-License-Identifier: Apache-2.0
// Turns the errno of a failed start into a sentence that tells the reader what to change. The usual one, "No such file
// or directory", means at least three different things.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "base/file.h"
#include "runner/child.h"

namespace geres::runner {
namespace {

std::string absolute(const ChildPlan& plan, const std::string& path) {
  return path.starts_with('/') ? path : std::string(plan.directory) + "/" + path;
}

// Opens only regular files: a job may have put something else in that place.
std::string head_of(const std::string& path) {
  const Fd place(open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat found {};
  if (!place || fstat(place.get(), &found) != 0 || !S_ISREG(found.st_mode)) return {};
  const Fd fd(open(("/proc/self/fd/" + std::to_string(place.get())).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  char buffer[256];
  const ssize_t got = fd ? read(fd.get(), buffer, sizeof buffer) : -1;
  return got > 0 ? std::string(buffer, std::size_t(got)) : std::string();
}

std::string interpreter_of(const std::string& head) {
  if (!head.starts_with("#!")) return {};
  const auto line = head.substr(2, head.find('\n') - 2);
  const auto start = line.find_first_not_of(" \t");
  if (start == std::string::npos) return {};
  return line.substr(start, line.find_first_of(" \t\r", start) - start);
}

std::string not_found(const ChildPlan& plan, const std::string& name) {
  if (plan.candidates.empty() || name.find('/') == std::string::npos) return name + ": not found in PATH";
  const std::string& path = plan.candidates.front();
  const std::string head = head_of(absolute(plan, path));
  if (const std::string interpreter = interpreter_of(head); !interpreter.empty()) {
    std::string reason = name + ": its interpreter " + interpreter + " is not on this machine";
    if (head.find("\r\n") != std::string::npos) reason += " (the script has Windows line ends)";
    return reason;
  }
  if (head.starts_with("\x7f"
                       "ELF"))
    return name + ": its dynamic loader is not on this machine";
  return name + (name.starts_with('/') ? ": not found" : ": not found in the package");
}

std::string not_allowed(const ChildPlan& plan, const std::string& name) {
  for (const auto& candidate : plan.candidates) {
    struct stat found {};
    if (stat(absolute(plan, candidate).c_str(), &found) != 0) continue;
    if (S_ISDIR(found.st_mode)) return name + ": is a directory";
    if ((found.st_mode & 0111) == 0) return name + ": is not executable (chmod +x it before packing)";
  }
  return name + ": may not be executed by this user";
}

std::string not_executed(const ChildPlan& plan, int error) {
  const std::string name = plan.argv.front();
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return not_found(plan, name);
    case EACCES:
      return not_allowed(plan, name);
    case ENOEXEC:
      return name + ": is not a program for this machine and has no #! line";
    case E2BIG:
      return name + ": arguments and environment are too large";
    default:
      return name + ": cannot be executed: " + std::strerror(error);
  }
}

}  // namespace

std::string start_failure_reason(const ChildPlan& plan, const ChildReport& report) {
  const std::string why = std::strerror(report.error);
  std::string reason;
  switch (report.failed) {
    case Step::execute:
      reason = not_executed(plan, report.error);
      break;
    case Step::directory:
      reason = std::string("working directory ") + plan.directory + ": " + why;
      break;
    case Step::user:
      reason = "cannot become user " + std::to_string(plan.uid) + ": " + why;
      break;
    case Step::fences:
      reason = "cannot be kept to its own files: " + why;
      break;
    case Step::limits:
      reason = "cannot set its limits: " + why;
      break;
    case Step::containment:
      reason = "cannot enter the containment: " + why;
      break;
    default:
      reason = "cannot start a process: " + why;
      break;
  }
  return replace_bad_utf8(reason);
}

std::string exit_hint(const ChildPlan& plan, int exit_code) {
  if (exit_code != 127 && exit_code != 126) return {};  // 126: a directory of PATH that it may not search
  // `#!/usr/bin/env python3\r`: env was found, but looked for a program whose name ends in \r.
  for (const auto& candidate : plan.candidates) {
    const std::string head = head_of(absolute(plan, candidate));
    if (head.starts_with("#!") && head.substr(0, head.find('\n')).ends_with('\r'))
      return "the script has Windows line ends";
    if (!head.empty()) break;
  }
  return {};
}

bool is_host_trouble(const ChildReport& report) {
  if (report.failed != Step::execute) return true;
  return report.error == EAGAIN || report.error == ENOMEM || report.error == EMFILE || report.error == ENFILE ||
         report.error == EIO;
}

}  // namespace geres::runner
