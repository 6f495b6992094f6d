// SPDX-License-Identifier: Apache-2.0
// A library of a later interface.
#include <cstddef>

#define EXPORTED extern "C" __attribute__((visibility("default")))
EXPORTED int geres_policy_abi() {
  return 2;
}
EXPORTED void* geres_policy_create(const char*, char*, std::size_t) {
  return nullptr;
}
EXPORTED int geres_policy_decide(void*, const char*, char*, std::size_t) {
  return 1;
}
EXPORTED void geres_policy_destroy(void*) {}
