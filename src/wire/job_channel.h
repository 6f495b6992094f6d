// SPDX-License-Identifier: Apache-2.0
// Between the host and a job's process: the names in the environment, the exit codes, and the progress line.
//
//   progress line = [ percent SP ] message LF      percent = 0 … 100, at most kProgressLineMax bytes: "42 resizing"
//
// Plain constants and nothing else, so that the loader of library jobs stays small.
#pragma once

#include <cstddef>

namespace geres::wire {

inline constexpr char kEnvJobId[] = "GERES_JOB_ID";
inline constexpr char kEnvJobType[] = "GERES_JOB_TYPE";
inline constexpr char kEnvTenant[] = "GERES_TENANT";
inline constexpr char kEnvAttempt[] = "GERES_ATTEMPT";
inline constexpr char kEnvJobFile[] = "GERES_JOB_FILE";        // path of the job as JSON
inline constexpr char kEnvParameters[] = "GERES_PARAMETERS";   // JSON text
inline constexpr char kEnvParameterPrefix[] = "GERES_PARAM_";  // + name, for each top-level scalar
inline constexpr char kEnvPackageDir[] = "GERES_PACKAGE_DIR";
inline constexpr char kEnvWorkDir[] = "GERES_WORK_DIR";
inline constexpr char kEnvOutputDir[] = "GERES_OUTPUT_DIR";
inline constexpr char kEnvProgress[] = "GERES_PROGRESS";  // path of a FIFO
inline constexpr char kEnvResult[] = "GERES_RESULT";      // path of a file to be written
inline constexpr char kEnvTraceParent[] = "TRACEPARENT";

inline constexpr int kExitFinished = 0;
inline constexpr int kExitFailed = 1;    // any code not listed here means the same: one failure, retried
inline constexpr int kExitAborted = 60;  // the job said: do not retry

// From the loader (geres-job) only; from a command they are failures like any other.
inline constexpr int kExitPackage = 62;  // no such library, not loadable, undefined symbol, no job library: `package`
inline constexpr int kExitType = 63;     // the libraries register other types: `type`
inline constexpr int kExitLoader = 64;   // wrong usage, or an environment without the names above: the host's trouble

inline constexpr std::size_t kProgressLineMax = 4096;  // PIPE_BUF: written in one piece
inline constexpr std::size_t kResultBytesMax = 64 * 1024;

}  // namespace geres::wire
