// SPDX-License-Identifier: Apache-2.0
// geres: all subcommands in one program.
#include "cli/run.h"
#include "serve.h"

int main(int argc, char** argv) {
  return geres::cli::run({argv + 1, argv + argc}, geres::apps::services());
}
