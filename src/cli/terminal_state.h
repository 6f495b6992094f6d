// SPDX-License-Identifier: Apache-2.0
// What this program has changed on its terminal, so that it can be undone at once when Ctrl-Z stops it: the shell's
// next line should not begin with a hidden cursor or with a job's colours.
#pragma once

namespace geres::cli {

void mind_stops();              // from now on SIGTSTP restores the terminal first; may be called repeatedly
void cursor_is_hidden(int fd);  // on this terminal; -1: it is visible again
void is_coloured(int fd, bool coloured);

bool was_stopped();          // since the last call: the shell has written, so nothing is where it was
bool in_background(int fd);  // another program owns the terminal

}  // namespace geres::cli
