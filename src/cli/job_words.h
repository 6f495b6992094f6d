// SPDX-License-Identifier: Apache-2.0
// A job of the API in words: its state with reason, how it ended, its times. Used by list, show, submit and watch.
#pragma once

#include <optional>
#include <string>

#include "cli/context.h"

namespace geres::cli {

bool ended(const json::value& job);
std::string state_of(const json::value& job);  // "failed"
Colour colour_of(const std::string& state);
std::string state_words(const json::value& job);  // "failed (maxAttempts)", "running 42 %"
std::optional<Millis> time_of(const json::value& from, std::string_view member);
std::optional<Millis> ran_for(const json::value& job);  // of the newest attempt, ended jobs only
std::string batch_name(const json::value& job);
std::string package_words(const json::value& job);  // "thumbnails@9c41e07a"
std::string exit_words(const json::value& of);      // of a job or an attempt: "exit 1", "signal 9 (Killed)"
// What a job left and the hub did not keep, one line each, and then how many more; empty: nothing was left out.
std::vector<std::string> left_out_lines(const json::value& job, std::size_t lines_max = 10);

// "job …77d09e1a finished in 2.1 s, attempt 2 on laptop".
std::string outcome_sentence(const json::value& job, const Output& output, bool err);
std::string progress_words(const json::value& job);  // "42 % resizing"
int exit_as_job(const json::value& job);             // the exit code under --exit-status

// An answer's id: shortened on a terminal (every command accepts that form), whole in a pipe.
Cell id_cell(const json::value& answer);

}  // namespace geres::cli
