// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal_filter.h"

#include "base/bytes.h"
#include "cli/text.h"

namespace geres::cli {
namespace {

constexpr std::size_t kSequenceMax = 64;
constexpr std::string_view kInPlace = "\xEF\xBF\xBD";  // U+FFFD

std::size_t length_by_lead(unsigned char c) {
  return c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
}

}  // namespace

std::string TerminalFilter::pass(std::string_view piece) {
  std::string out;
  out.reserve(piece.size());
  for (const char c : piece) take(static_cast<unsigned char>(c), out);
  return out;
}

std::string TerminalFilter::finish() {
  std::string out;
  end_character(out);
  if (coloured_) out += "\x1b[0m";
  *this = TerminalFilter();
  return out;
}

void TerminalFilter::take(unsigned char c, std::string& out) {
  switch (state_) {
    case State::text:
      return take_text(c, out);
    case State::escape:
      sequence_.clear();
      if (c == '[')
        state_ = State::csi;
      else if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')  // OSC, DCS, SOS, PM, APC
        state_ = State::string;
      else if (c >= 0x20 && c <= 0x2F)  // intermediate: the final character follows
        state_ = State::skip_one;
      else
        state_ = c == 0x1B ? State::escape : State::text;
      return;
    case State::skip_one:
      if (c < 0x20 || c > 0x2F) state_ = State::text;
      return;
    case State::csi:
      if (c == 0x1B) return void(state_ = State::escape);
      if (c < 0x40 || c > 0x7E) {
        if (sequence_.size() < kSequenceMax) sequence_ += char(c);
        return;
      }
      state_ = State::text;
      if (c != 'm' || sequence_.size() >= kSequenceMax || sequence_.find_first_not_of("0123456789;:") != sequence_.npos)
        return;
      coloured_ = !sequence_.empty() && sequence_ != "0";
      out += "\x1b[" + sequence_ + "m";
      return;
    case State::string:
      if (c == 0x07) state_ = State::text;
      if (c == 0x1B) state_ = State::string_escape;
      return;
    case State::string_escape:
      state_ = c == '\\' ? State::text : c == 0x1B ? State::string_escape : State::string;
      return;
  }
}

void TerminalFilter::take_text(unsigned char c, std::string& out) {
  if (c >= 0x80 && c < 0xC0 && !character_.empty()) {
    character_ += char(c);
    if (character_.size() == wanted_) end_character(out);
    return;
  }
  end_character(out);
  if (c >= 0xC0) {
    character_ = char(c);
    wanted_ = length_by_lead(c);
  } else if (c == 0x1B) {
    state_ = State::escape;
  } else if (c >= 0x80) {
    out += kInPlace;
  } else if ((c >= 0x20 && c != 0x7F) || c == '\n' || c == '\r' || c == '\t') {
    out += char(c);
  }
}

void TerminalFilter::end_character(std::string& out) {
  if (!character_.empty()) out += clean(character_);
  character_.clear();
}

std::string for_terminal(std::string_view whole) {
  TerminalFilter filter;
  std::string text = filter.pass(whole);
  return text += filter.finish();
}

}  // namespace geres::cli
