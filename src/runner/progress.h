// SPDX-License-Identifier: Apache-2.0
// A slot's progress FIFO, kept for the slot's next attempt if that has the same path. Grammar of a line (at most 4 KiB,
// so that it is written in one piece):
//   line    = [percent] [message]         "42 resizing", "42", "42%", "resizing"
//   percent = number, clamped to 0 … 100
// The runner keeps the FIFO open for reading and writing, so `>` and `>>` never block, and closing it ends nothing. A
// flood of lines is merged: the newest percent and the newest message win.
#pragma once

#include <optional>
#include <string>

#include "base/file.h"
#include "wire/runner/runner_channel.h"

namespace geres::runner {

class Progress {
 public:
  Progress() = default;
  ~Progress() { remove(); }

  // Makes the FIFO, writable by `uid`. An old file of that name is replaced, but the FIFO of the last attempt is used
  // again, because making a file is the most expensive part of a start; then earlier writers lose their right to it.
  // False with errno.
  bool open(const std::string& path, std::uint32_t uid, std::uint32_t gid);
  int read_end() const { return fifo_.get(); }  // -1: none
  bool pump();                                  // reads what is there, up to a bound; false: nothing is left
  void finish();                                // reads the rest
  void remove();                                // closes and removes the FIFO

  // The news to send now: at most one in 50 ms, the first at once. With `last`, whatever there is.
  std::optional<wire::RunProgress> take(Millis now, bool last = false);
  Millis due() const;  // when take() has something; 0: nothing to send

 private:
  void read_line(std::string_view line);
  bool make(const std::string& path);
  bool still_there() const;

  std::string path_;
  std::uint32_t uid_ = 0;
  Fd fifo_;
  std::string part_;       // of a line that is not complete yet
  bool skipping_ = false;  // the rest of a line that is too long
  std::optional<std::int32_t> percent_;
  std::optional<std::string> message_;
  Millis sent_ = -1'000'000;
};

}  // namespace geres::runner
