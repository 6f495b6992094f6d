// SPDX-License-Identifier: Apache-2.0
// A library made for a later version of the interface.
extern "C" const void* geres_job_api_v2() {
  return nullptr;
}
