// SPDX-License-Identifier: Apache-2.0
// geres-job, the process of a library job: loads the library, finds the type, runs it, and tells the runner how it went
// by exit code, result file and progress FIFO (wire/job_channel.h).
//
//   geres-job [--else PROGRAM] LIBRARY… TYPE    runs TYPE of the first library that registers it; if none does, becomes
//                                               PROGRAM
//   geres-job --list LIBRARY…                   prints the registered types, one a line
//
// Exit codes: 0 finished, 1 failed, 60 aborted, 62 a library is missing, not loadable or no job library, 63 no library
// registers the type, 64 wrong usage or no job environment. The reason is one line on standard error, the last one.
// Depends on nothing but libc and libstdc++: every job pays for what is linked here.
#pragma once

namespace geres::sdk {

// All of main. Single-threaded until the library starts threads, but for one that waits for SIGTERM.
int run_loader(int argc, char** argv);

}  // namespace geres::sdk
