// SPDX-License-Identifier: Apache-2.0
// SIGTERM as a call on an ordinary thread. A handler and a pipe, not a blocked signal: programs that the job starts get
// the default action back, while a blocked signal would be inherited and leave them deaf.
#pragma once

namespace geres::sdk {

// From now on; once per process.
void start_stop_signal();
bool stop_signalled();

// geres_job_context_v1::on_stop.
void on_stop_signal(void (*stop)(void*), void* argument);

}  // namespace geres::sdk
