// SPDX-License-Identifier: Apache-2.0
// Checks the options and fills in environment and defaults. Throws Error, which names the option.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/file.h"
#include "geres/worker.h"
#include "worker/crew.h"

namespace geres::worker {

struct Settings {
  std::string hub;
  std::string name;
  Options options;  // concurrency and prefetch filled in
  int capacity = 0;
  Fd state;             // locked; -1: none
  std::string last_id;  // of an earlier life
};

Settings settings_of(Options options);
void check_type(const std::string& type, const Handlers& known);
std::string read_token(const Options& options);  // empty: there is none
void remember_id(const Settings& settings, const std::string& id);

}  // namespace geres::worker
