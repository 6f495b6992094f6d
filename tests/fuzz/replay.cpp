// SPDX-License-Identifier: Apache-2.0
// Feeds every file of CORPUS/TARGET to its target, once: what was found stays fixed, and the targets keep their build.
#include <filesystem>
#include <iostream>

#include "base/file.h"
#include "target.h"

int main(int argc, char** argv) {
  if (argc != 2) return std::cerr << "usage: fuzz_replay CORPUS\n", 2;
  int targets = 0;
  for (const auto* target = geres::fuzz::Target::first; target != nullptr; target = target->next, ++targets) {
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(argv[1]) / target->name)) {
      const std::string bytes = geres::read_file(entry.path());
      std::cerr << target->name << " " << entry.path().filename().string()
                << std::endl;  // the last line names a crasher
      target->run(bytes);
      ++files;
    }
    if (files == 0) return std::cerr << "no corpus for " << target->name << "\n", 1;
    std::cout << target->name << ": " << files << " files\n";
  }
  return targets == 0;
}
