// SPDX-License-Identifier: Apache-2.0
// The commands on what a job leaves: its log and its files.
#pragma once

#include "cli/command.h"

namespace geres::cli {

Command job_log_command();
Command job_files_command();

}  // namespace geres::cli
