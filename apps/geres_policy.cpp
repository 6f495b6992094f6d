// SPDX-License-Identifier: Apache-2.0
// geres-policy: the process of a user's scaling policy.
#include "sdk/policy_process.h"

int main(int argc, char** argv) {
  return geres::sdk::run_policy(argc, argv);
}
