// SPDX-License-Identifier: Apache-2.0
// A shared library that has never heard of jobs.
extern "C" int answer() {
  return 42;
}
