// SPDX-License-Identifier: Apache-2.0
// The process of a library job (sdk/loader.h).
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>

#include "sdk/loader.h"
#include "wire/job_channel.h"

namespace {

// What a host has run before its first job, from where packages lie: each thing that jobs do with what they are given.
int trial() {
  const auto path = [](std::string_view name) {
    const char* const value = std::getenv(std::string(name).c_str());
    return std::filesystem::path(value != nullptr ? value : "");
  };
  const auto write = [](const std::filesystem::path& file) {
    if (std::ofstream(file, std::ios::app) << "tried" << std::flush) return;
    std::perror(file.c_str());
    std::exit(1);
  };
  write(path(geres::wire::kEnvOutputDir) / "tried");
  write(path(geres::wire::kEnvWorkDir) / "tried");
  write(path("TMPDIR") / "tried");
  write(path(geres::wire::kEnvProgress));
  write(path(geres::wire::kEnvResult));
  if (!std::ifstream(path(geres::wire::kEnvJobFile))) {
    std::perror("GERES_JOB_FILE");
    return 1;
  }
  std::puts("tried");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--trial") return trial();
  const int code = geres::sdk::run_loader(argc, argv);
  // The outcome stands. Threads that the job left behind must not crash on statics that are being destroyed.
  std::cout.flush();
  std::fflush(nullptr);
  ::_exit(code);
}
