// SPDX-License-Identifier: Apache-2.0
// Where a command's output goes. Standard output carries what was asked for (a table, one JSON value, bare ids),
// standard error the rest (hints, progress, errors). A terminal gets colours and fitted tables, a pipe plain lines.
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

// The reader of a pipe may have closed it; then nobody can be told, and the program ends. Any thread.
void write_out(int fd, std::string_view text);
int terminal_width(int fd);  // 80 if it is unknown
int terminal_height(int fd);
Look look_around();  // by isatty, NO_COLOR and TERM

class Output {
 public:
  Look look;

  void out(std::string_view text);   // to standard output, unchanged
  void line(std::string_view text);  // with a line break
  // One line, broken between words on a narrow terminal; continuation lines are indented below the end of `begin`.
  void prose(std::string_view begin, std::string_view text, std::size_t indent);
  void json(const json::value& v);   // one value; indented on a terminal
  void talk(std::string_view text);  // a line on standard error; not with --quiet or JSON
  void hint(std::string_view text);  // like talk, but only on a terminal
  std::string grey(std::string_view text) const { return paint(text, Colour::grey, look.out_colour); }
  std::string bold(std::string_view text) const { return paint(text, Colour::bold, look.out_colour); }
};

std::string indented(const json::value& v);

// --fields on objects: only those members, in that order. A field that is neither among `members` (those that may
// exist) nor in any object is a usage error that lists the valid ones.
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
  bool elastic = false;  // shrinks first when the terminal is narrow
  // Left out when that is not enough: the highest first, those with constant content before the others.
  int spare = 0;
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
  Table fitted_to(int width) const;  // without some columns if not all fit
  std::optional<std::size_t> least_needed(bool constant_only) const;
  Table without(const std::vector<bool>& gone) const;
  std::vector<std::size_t> natural_widths() const;
  std::vector<std::size_t> widths(int width) const;
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace geres::cli
