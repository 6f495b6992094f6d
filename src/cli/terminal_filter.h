// SPDX-License-Identifier: Apache-2.0
// Makes what a job prints harmless for a terminal. Colours and text attributes pass (SGR, ESC [ … m); every other
// sequence is removed, so that none can set the title or the clipboard, move the cursor, or have the terminal answer
// into the user's shell. Control characters other than
// , \r and \t are removed too, and so are the marks that change the direction of writing.
#pragma once

#include <string>
#include <string_view>

namespace geres::cli {

// For one stream, whose pieces may be cut anywhere.
class TerminalFilter {
 public:
  std::string pass(std::string_view piece);
  bool coloured() const { return coloured_; }
  std::string finish();  // what is still held back, and a reset if colours were left on

 private:
  enum class State { text, escape, csi, string, string_escape, skip_one };
  void take(unsigned char c, std::string& out);
  void take_text(unsigned char c, std::string& out);
  void end_character(std::string& out);

  State state_ = State::text;
  std::string sequence_;   // of a CSI, after the "ESC ["
  std::string character_;  // an incomplete UTF-8 character
  std::size_t wanted_ = 0;
  bool coloured_ = false;
};

std::string for_terminal(std::string_view whole);  // for a text in one piece

}  // namespace geres::cli
