// SPDX-License-Identifier: Apache-2.0
// What a job prints, made harmless for a terminal: colours and text attributes pass (SGR, ESC [ … m), every other
// sequence is left out: no title, no clipboard, no cursor that moves, no answer typed into the user's shell. Control
// characters but \n, \r and \t are left out, too, and so are the marks that turn the direction of writing.
#pragma once

#include <string>
#include <string_view>

namespace geres::cli {

// Of one stream, in pieces that may be cut anywhere.
class TerminalFilter {
 public:
  std::string pass(std::string_view piece);
  bool coloured() const { return coloured_; }
  std::string finish();  // what is still held back, and the end of colours that were not ended

 private:
  enum class State { text, escape, csi, string, string_escape, skip_one };
  void take(unsigned char c, std::string& out);
  void take_text(unsigned char c, std::string& out);
  void end_character(std::string& out);

  State state_ = State::text;
  std::string sequence_;   // of a CSI, behind the "ESC ["
  std::string character_;  // of UTF-8, not yet whole
  std::size_t wanted_ = 0;
  bool coloured_ = false;
};

std::string for_terminal(std::string_view whole);  // what is there in one piece

}  // namespace geres::cli
