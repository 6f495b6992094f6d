// SPDX-License-Identifier: Apache-2.0
// geres-pack DIRECTORY FILE.zip: packs while this project is built, before there is a `geres` to do it. Fails if the
// hub would not take the package.
#include <cstdio>
#include <exception>

#include "package/archive.h"

namespace {

int complain(const geres::Error& error) {
  std::fprintf(stderr, "geres-pack: %s %s\n", error.message.c_str(), error.field.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fprintf(stderr, "usage: geres-pack DIRECTORY FILE.zip\n");
    return 2;
  }
  const auto packed = geres::package::pack(argv[1], argv[2]);
  if (!packed) return complain(packed.error());
  const auto contents = geres::package::inspect(argv[2]);
  if (!contents) return complain(contents.error());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "geres-pack: %s\n", error.what());
  return 1;
}
