// SPDX-License-Identifier: Apache-2.0
// The command line as a program without hub and host: what cli_test runs.
#include "cli/run.h"

int main(int argc, char** argv) {
  return geres::cli::run({argv + 1, argv + argc});
}
