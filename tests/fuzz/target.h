// SPDX-License-Identifier: Apache-2.0
// A fuzz target is a function over bytes that aborts when a promise is broken:
//
//   GERES_FUZZ_TARGET(job_spec) { … bytes … }
//
// With clang it becomes the function that libFuzzer calls. In the usual build all targets are linked into one program,
// which feeds each the files of its corpus (replay.cpp).
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace geres::fuzz {

struct Target {
  Target(const char* name, void (*run)(std::string_view bytes)) : name(name), run(run), next(first) { first = this; }
  const char* name;
  void (*run)(std::string_view bytes);
  Target* next;
  static inline Target* first = nullptr;
};

// What must hold whatever the bytes.
inline void must(bool holds, const char* what, std::string_view details = {}) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n%.*s\n", what, int(details.size()), details.data());
  std::abort();
}

// Inputs from several parts: takes one byte from the front (0 if there is none).
inline std::uint8_t take_byte(std::string_view& bytes) {
  if (bytes.empty()) return 0;
  const auto byte = std::uint8_t(bytes.front());
  bytes.remove_prefix(1);
  return byte;
}

}  // namespace geres::fuzz

#ifdef GERES_LIBFUZZER
#define GERES_FUZZ_TARGET(name)                                                       \
  static void fuzz_##name(std::string_view bytes);                                    \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
    fuzz_##name(std::string_view(reinterpret_cast<const char*>(data), size));         \
    return 0;                                                                         \
  }                                                                                   \
  static void fuzz_##name(std::string_view bytes)
#else
#define GERES_FUZZ_TARGET(name)                                       \
  static void fuzz_##name(std::string_view bytes);                    \
  static const geres::fuzz::Target target_##name(#name, fuzz_##name); \
  static void fuzz_##name(std::string_view bytes)
#endif
