// SPDX-License-Identifier: Apache-2.0
// geres-policy, the process of a user's scaling policy, started by a scaler:
//
//   geres-policy LIBRARY               answers by a library made with <geres/policy.h>
//   geres-policy -- PROGRAM [ARG...]   becomes the program, which answers by itself
//
// Whichever it is reads one line of JSON for each decision and prints one:
//
//   {"settings": {…}, "load": {…}}     {"hosts": 7, "reason": "…"}  or  {"error": "…"}
//
// The limits are taken on before anything of the user's runs: 256 MiB of memory, no core files, no network where the
// machine allows that, no further privileges, and under root the user nobody. Time is the scaler's to watch.
// Depends on nothing but libc and libstdc++.
#pragma once

namespace geres::sdk {

// All of main. Single-threaded until the library starts threads.
int run_policy(int argc, char** argv);

}  // namespace geres::sdk
