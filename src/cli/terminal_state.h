// SPDX-License-Identifier: Apache-2.0
// What this program has done to its terminal, so that it can be undone at once when Ctrl-Z stops it: a hidden cursor
// and a job's colours are nothing that a shell should begin its next line with.
#pragma once

namespace geres::cli {

void mind_stops();              // from now on SIGTSTP leaves the terminal as it was; any number of times
void cursor_is_hidden(int fd);  // on this terminal; -1: it is shown again
void is_coloured(int fd, bool coloured);

bool was_stopped();          // since last asked: the shell has written since, nothing is where it was
bool in_background(int fd);  // another program has the terminal

}  // namespace geres::cli
