// SPDX-License-Identifier: Apache-2.0
// A job of the API in words: its state with reason, how it ended, its times. Shared by list, show, submit and watch.
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
// "job …77d09e1a finished in 2.1 s, attempt 2 on laptop"; `line` is its start without id for a list.
// What a job left and was not kept, a line each, those told by name and then how many more; none: nothing was left out.
std::vector<std::string> left_out_lines(const json::value& job, std::size_t lines_max = 10);

std::string outcome_sentence(const json::value& job, const Output& output, bool err);
std::string progress_words(const json::value& job);  // "42 % resizing"
int exit_as_job(const json::value& job);             // what --exit-status ends with

// An answer's id: short for a terminal, which every command takes as an argument; whole for a pipe.
Cell id_cell(const json::value& answer);

}  // namespace geres::cli
