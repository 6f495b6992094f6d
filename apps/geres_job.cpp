// SPDX-License-Identifier: Apache-2.0
// The process of a library job (sdk/loader.h).
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "sdk/loader.h"

int main(int argc, char** argv) {
  const int code = geres::sdk::run_loader(argc, argv);
  // The outcome stands. Threads that the job left behind must not crash on statics that are being destroyed.
  std::cout.flush();
  std::fflush(nullptr);
  ::_exit(code);
}
