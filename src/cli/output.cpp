// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <set>
#include <system_error>

#include "base/file.h"
#include "cli/trouble.h"

namespace geres::cli {
namespace {

void indent(const json::value& v, int depth, std::string& out) {
  const std::string space(std::size_t(depth) * 2 + 2, ' ');
  if (v.is_object() && !v.get_object().empty()) {
    out += "{\n";
    bool first = true;
    for (const auto& [name, member] : v.get_object()) {
      out += (first ? "" : ",\n") + space + boost::json::serialize(boost::json::value(name)) + ": ";
      indent(member, depth + 1, out);
      first = false;
    }
    out += "\n" + space.substr(2) + "}";
  } else if (v.is_array() && !v.get_array().empty()) {
    out += "[\n";
    bool first = true;
    for (const auto& item : v.get_array()) {
      out += (first ? "" : ",\n") + space;
      indent(item, depth + 1, out);
      first = false;
    }
    out += "\n" + space.substr(2) + "]";
  } else {
    out += boost::json::serialize(v);
  }
}

std::string tab_free(std::string text) {
  text = clean(text);
  return text;
}

}  // namespace

void write_out(int fd, std::string_view text) {
  try {
    write_all(fd, text);
  } catch (const std::system_error& error) {
    if (error.code().value() != EPIPE) throw;
    std::_Exit(kDone);
  }
}

int terminal_width(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* columns = std::getenv("COLUMNS");
  const int n = columns != nullptr ? std::atoi(columns) : 0;
  return n > 0 ? n : 80;
}

int terminal_height(int fd) {
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

Look look_around() {
  Look look;
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  const bool dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  const bool colour = !dumb && (no_colour == nullptr || *no_colour == 0);
  look.out_terminal = ::isatty(1) == 1;
  look.err_terminal = ::isatty(2) == 1;
  look.out_colour = look.out_terminal && colour;
  look.err_colour = look.err_terminal && colour;
  return look;
}

void Output::out(std::string_view text) {
  write_out(1, text);
}

void Output::line(std::string_view text) {
  write_out(1, std::string(text) + "\n");
}

void Output::prose(std::string_view begin, std::string_view text, std::size_t indent) {
  const auto width = std::size_t(std::max(terminal_width(1) - int(indent), 10));
  line(std::string(begin) + (look.out_terminal ? wrapped(text, width, std::string(indent, ' ')) : std::string(text)));
}

void Output::json(const json::value& v) {
  line(look.out_terminal ? indented(v) : boost::json::serialize(v));
}

void Output::talk(std::string_view text) {
  if (look.quiet || look.json) return;
  // A terminal would break a word in two.
  const auto width = std::size_t(std::max(terminal_width(2), 20));
  const bool breaks = look.err_terminal && display_width(text) > width;
  write_out(2, (breaks ? wrapped(text, width - 2, "  ") : std::string(text)) + "\n");
}

void Output::hint(std::string_view text) {
  if (look.err_terminal) talk(paint(text, Colour::grey, look.err_colour));
}

std::string indented(const json::value& v) {
  std::string out;
  indent(v, 0, out);
  return out;
}

json::value with_fields(const json::value& objects, const std::vector<std::string>& fields,
                        std::span<const std::string> members) {
  if (fields.empty()) return objects;
  const auto pick = [&](const json::value& from) {
    json::object picked;
    if (from.is_object())
      for (const auto& name : fields) {
        const auto* member = from.get_object().if_contains(name);
        picked[name] = member == nullptr ? json::value(nullptr) : *member;
      }
    return picked;
  };
  const json::array* items = nullptr;
  if (objects.is_array()) items = &objects.get_array();
  if (objects.is_object() && objects.get_object().contains("items") && objects.at("items").is_array())
    items = &objects.at("items").get_array();
  std::set<std::string> known(members.begin(), members.end());
  const auto learn = [&](const json::value& v) {
    if (v.is_object())
      for (const auto& [name, member] : v.get_object()) known.emplace(name);
  };
  if (items == nullptr)
    learn(objects);
  else
    for (const auto& item : *items) learn(item);
  for (const auto& name : fields)
    if (!known.empty() && !known.contains(name))
      usage_error("there is no field '" + name + "'", "the fields here are " + joined({known.begin(), known.end()}), {},
                  "--fields");
  if (items == nullptr) return pick(objects);
  json::array picked;
  for (const auto& item : *items) picked.push_back(pick(item));
  if (objects.is_array()) return picked;
  json::object list = objects.get_object();
  list["items"] = picked;
  return list;
}

constexpr std::size_t kElasticLeast = 10;  // the width that an elastic column keeps while other columns can be left out
constexpr std::size_t kElasticMin = 4;     // the least width of an elastic column

void Table::add(std::vector<Cell> row) {
  for (auto& cell : row) cell.shown = clean(cell.shown), cell.piped = tab_free(cell.piped);
  rows_.push_back(std::move(row));
}

std::vector<std::size_t> Table::natural_widths() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t most = display_width(columns_[i].title);
    for (const auto& row : rows_) most = std::max(most, display_width(row[i].shown));
    widths.push_back(most);
  }
  return widths;
}

// Only elastic columns shrink, because an id or a state that is cut off is useless.
std::vector<std::size_t> Table::widths(int width) const {
  auto widths = natural_widths();
  std::size_t total = 2 * (widths.size() - 1);
  for (const auto w : widths) total += w;
  const auto room = std::size_t(std::max(width, 20));
  for (const std::size_t least : {kElasticLeast, kElasticMin}) {
    while (total > room) {
      std::size_t widest = columns_.size();
      for (std::size_t i = 0; i < columns_.size(); ++i)
        if (columns_[i].elastic && widths[i] > least && (widest == columns_.size() || widths[i] > widths[widest]))
          widest = i;
      if (widest == columns_.size()) break;
      --widths[widest];
      --total;
    }
  }
  return widths;
}

// The column that can best be left out.
std::optional<std::size_t> Table::least_needed(bool constant_only) const {
  std::optional<std::size_t> least;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].spare == 0) continue;
    const bool constant =
        std::all_of(rows_.begin(), rows_.end(), [&](const auto& row) { return row[i].shown == rows_[0][i].shown; });
    if (constant_only && !constant) continue;
    if (!least || columns_[i].spare > columns_[*least].spare) least = i;
  }
  return least;
}

Table Table::fitted_to(int width) const {
  const auto room = std::size_t(std::max(width, 20));
  Table table = *this;
  const auto fits = [&](std::size_t elastic_max) {
    const auto widths = table.natural_widths();
    std::size_t total = 2 * (widths.size() - 1);
    for (std::size_t i = 0; i < widths.size(); ++i)
      total += table.columns_[i].elastic ? std::min(widths[i], elastic_max) : widths[i];
    return total <= room;
  };
  for (const bool constant_only : {true, false})
    while (!fits(constant_only ? std::string::npos : kElasticLeast)) {
      const auto spared = table.least_needed(constant_only);
      if (!spared) break;
      std::vector<bool> gone(table.columns_.size());
      gone[*spared] = true;
      table = table.without(gone);
    }
  // Still too wide: leave out columns from the right, first those that would be cut, and keep the first column.
  while (!fits(kElasticMin) && table.columns_.size() > 1) {
    std::size_t last = table.columns_.size() - 1;
    while (last > 0 && !table.columns_[last].elastic) --last;
    std::vector<bool> gone(table.columns_.size());
    gone[last > 0 ? last : table.columns_.size() - 1] = true;
    table = table.without(gone);
  }
  return table;
}

Table Table::without(const std::vector<bool>& gone) const {
  std::vector<Column> columns;
  for (std::size_t i = 0; i < columns_.size(); ++i)
    if (!gone[i]) columns.push_back(columns_[i]);
  Table table(std::move(columns));
  for (const auto& row : rows_) {
    std::vector<Cell> cells;
    for (std::size_t i = 0; i < row.size(); ++i)
      if (!gone[i]) cells.push_back(row[i]);
    table.rows_.push_back(std::move(cells));
  }
  return table;
}

Table Table::without_empty_columns() const {
  std::vector<bool> gone;
  for (std::size_t i = 0; i < columns_.size(); ++i)
    gone.push_back(!rows_.empty() &&
                   std::all_of(rows_.begin(), rows_.end(), [&](const auto& row) { return row[i].shown.empty(); }));
  return without(gone);
}

std::string Table::text(const Look& look, int width) const {
  std::string out;
  if (!look.out_terminal) {
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) out += (i > 0 ? "\t" : "") + row[i].piped;
      out += "\n";
    }
    return out;
  }
  if (auto fewer = without_empty_columns().fitted_to(width); fewer.columns_.size() < columns_.size())
    return fewer.text(look, width);
  const auto sizes = widths(width);
  const auto add_line = [&](const auto& cell_of) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const auto [text, colour] = cell_of(i);
      const std::string fitted = fit(text, sizes[i]);
      const bool last = i + 1 == columns_.size();
      const std::string filled = last && !columns_[i].right ? fitted : pad(fitted, sizes[i], columns_[i].right);
      line += (i > 0 ? "  " : "") + paint(filled, colour, look.out_colour);
    }
    while (line.ends_with(' ')) line.pop_back();
    out += line + "\n";
  };
  add_line([&](std::size_t i) { return std::pair(columns_[i].title, Colour::grey); });
  for (const auto& row : rows_) add_line([&](std::size_t i) { return std::pair(row[i].shown, row[i].colour); });
  return out;
}

}  // namespace geres::cli
