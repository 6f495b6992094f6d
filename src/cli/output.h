// SPDX-License-Identifier: Apache-2.0
// Where a command's words go. Standard output carries what was asked for (a table, one JSON value, bare ids); standard
// error carries talk (hints, progress, errors). A terminal gets colours and fitted tables; a pipe gets plain lines.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "cli/text.h"

namespace geres::cli {

struct Look {
  bool out_terminal = false;
  bool err_terminal = false;
  bool out_colour = false;
  bool err_colour = false;
  bool json = false;
  bool quiet = false;
  std::vector<std::string> fields;  // --fields; empty: the usual ones
};

// The reader of a pipe may have had enough; then there is nobody left to tell, and the program ends. Any thread.
void write_out(int fd, std::string_view text);
int terminal_width(int fd);  // 80 if it will not say
int terminal_height(int fd);
Look look_around();  // by isatty, NO_COLOR and TERM

class Output {
 public:
  Look look;

  void out(std::string_view text);   // standard output, as it is
  void line(std::string_view text);  // and a line break
  // A line, which a narrow terminal breaks between words; below `begin` it is indented.
  void prose(std::string_view begin, std::string_view text, std::size_t indent);
  void json(const json::value& v);   // one value; indented on a terminal
  void talk(std::string_view text);  // standard error, a line; not with --quiet or JSON
  void hint(std::string_view text);  // talk, but on a terminal only
  std::string grey(std::string_view text) const { return paint(text, Colour::grey, look.out_colour); }
  std::string bold(std::string_view text) const { return paint(text, Colour::bold, look.out_colour); }
};

std::string indented(const json::value& v);

// --fields on objects: only those members, in that order. A member that is not among `members` (those that there may
// be) and that no object has is a usage error listing those there are.
json::value with_fields(const json::value& objects, const std::vector<std::string>& fields,
                        std::span<const std::string> members = {});

struct Cell {
  Cell(std::string text, Colour paint_as = Colour::none) : shown(text), piped(std::move(text)), colour(paint_as) {}
  Cell(const char* text) : Cell(std::string(text)) {}
  Cell(std::string for_terminal, std::string for_pipe, Colour paint_as = Colour::none)
      : shown(std::move(for_terminal)), piped(std::move(for_pipe)), colour(paint_as) {}
  std::string shown;
  std::string piped;
  Colour colour = Colour::none;
};

struct Column {
  std::string title;
  bool right = false;
  bool elastic = false;  // gives up its width first when the terminal is narrow
  int spare = 0;         // goes altogether when that is not enough: the highest first, those that say the same before
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<Cell> row);
  bool empty() const { return rows_.empty(); }
  // Terminal: grey upper-case titles, fitted to `width`, without columns that have nothing to show. Pipe: tabs, no
  // titles.
  std::string text(const Look& look, int width) const;

 private:
  Table without_empty_columns() const;
  Table fitted_to(int width) const;  // with fewer columns if they do not fit
  std::optional<std::size_t> least_needed(bool constant_only) const;
  Table without(const std::vector<bool>& gone) const;
  std::vector<std::size_t> natural_widths() const;
  std::vector<std::size_t> widths(int width) const;
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace geres::cli
