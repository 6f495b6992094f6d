// SPDX-License-Identifier: Apache-2.0
// A job of the API in words: its state with reason, how it ended, its times. Used by list, show, submit and watch.
#pragma once

#include <optional>
#include <string>

#include "cli/context.h"
#include "wire/api/job_view.h"

namespace geres::cli {

using wire::JobView;

Colour colour_of(const std::string& state);
std::string state_words(const JobView& job);  // "failed (maxAttempts)", "running 42 %"
std::optional<Millis> time_of(const json::value& from, std::string_view member);
std::optional<Millis> ran_for(const JobView& job);  // of the newest attempt, ended jobs only
std::string batch_name(const JobView& job);
std::string package_words(const JobView& job);                      // "thumbnails@9c41e07a"
std::string exit_words(const std::optional<wire::ExitView>& exit);  // "exit 1", "signal 9 (Killed)"
// What a job left and the hub did not keep, one line each, and then how many more; empty: nothing was left out.
std::vector<std::string> left_out_lines(const JobView& job, std::size_t lines_max = 10);

// "job …77d09e1a finished in 2.1 s, attempt 2 on laptop".
std::string outcome_sentence(const JobView& job, const Output& output, bool err);
std::string progress_words(const JobView& job);  // "42 % resizing"
int exit_as_job(const JobView& job);             // the exit code under --exit-status

// An id: shortened on a terminal (every command accepts that form), whole in a pipe.
Cell id_cell(const std::string& id);

}  // namespace geres::cli
