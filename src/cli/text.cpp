// SPDX-License-Identifier: Apache-2.0
#include "cli/text.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/bytes.h"
#include "base/uuid.h"

namespace geres::cli {
namespace {

// The code point at `at`, which is moved past it. The text must be valid UTF-8.
char32_t next_code_point(std::string_view text, std::size_t& at) {
  const auto lead = static_cast<unsigned char>(text[at++]);
  if (lead < 0x80) return lead;
  const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  char32_t point = lead & (0x3F >> more);
  for (int i = 0; i < more && at < text.size(); ++i)
    point = point << 6 | (static_cast<unsigned char>(text[at++]) & 0x3F);
  return point;
}

std::size_t columns(char32_t c) {
  if ((c >= 0x300 && c <= 0x36F) || (c >= 0x200B && c <= 0x200F) || c == 0xFE0F) return 0;  // combining, joiners
  const bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) ||
                    (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
                    (c >= 0x1F300 && c <= 0x1F64F) || (c >= 0x1F900 && c <= 0x1F9FF) || (c >= 0x20000 && c <= 0x3FFFD);
  return wide ? 2 : 1;
}

// Control characters, and the marks that change the direction of writing.
bool harmful(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) ||
         c == 0x2028 || c == 0x2029;
}

}  // namespace

std::string paint(std::string_view text, Colour colour, bool really) {
  static constexpr const char* kCodes[] = {"", "90", "1", "31", "32", "33", "36"};
  if (!really || colour == Colour::none || text.empty()) return std::string(text);
  return "\x1b[" + std::string(kCodes[int(colour)]) + "m" + std::string(text) + "\x1b[0m";
}

std::string clean(std::string_view raw) {
  const std::string text = replace_bad_utf8(raw);
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto start = at;
    const char32_t c = next_code_point(text, at);
    if (c == '\n' || c == '\t')
      out += ' ';
    else if (harmful(c))
      out += "\xEF\xBF\xBD";
    else
      out.append(text, start, at - start);
  }
  return out;
}

std::string escaped_name(std::string_view name) {
  const std::string text = escape_bad_utf8(name);
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto start = at;
    const char32_t c = next_code_point(text, at);
    char code[12];
    if (c == '\n' || c == '\t' || c == '\r')
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r";
    else if (harmful(c))
      std::snprintf(code, sizeof code, c < 0x100 ? "\\x%02x" : "\\u%04x", unsigned(c)), out += code;
    else
      out.append(text, start, at - start);
  }
  return out;
}

std::string clean_lines(std::string_view text, std::string_view indent) {
  std::string out;
  for (const auto& line : split(text, '\n')) {
    if (!out.empty()) out += "\n" + std::string(indent);
    out += clean(line);
  }
  return out;
}

std::string wrapped(std::string_view text, std::size_t width, std::string_view indent) {
  std::string out;
  std::size_t used = 0;  // columns of the current line; the first begins where the caller stopped
  bool fresh = true;     // no word on it yet
  const auto next_line = [&] {
    out += "\n" + std::string(indent);
    used = 0;
    fresh = true;
  };
  for (const auto& line : split(text, '\n')) {
    if (!out.empty()) next_line();
    for (const auto& word : split(line, ' ')) {
      const auto columns = display_width(word);
      if (!fresh && used + 1 + columns > width) next_line();
      if (!fresh) out += " ", ++used;
      out += word;
      used += columns;
      fresh = false;
    }
  }
  return out;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (text.substr(at).starts_with("\x1b["))  // paint()
      at = std::min(text.find('m', at), text.size() - 1) + 1;
    else
      width += columns(next_code_point(text, at));
  }
  return width;
}

std::string fit(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return "";
  std::size_t used = 0, at = 0;
  while (at < text.size()) {
    auto next = at;
    used += columns(next_code_point(text, next));
    if (used > width - 1) break;
    at = next;
  }
  return std::string(text.substr(0, at)) + "…";
}

std::string fit_painted(const std::string& line, std::size_t width) {
  std::string out;
  std::size_t used = 0;
  bool painted = false;
  for (std::size_t at = 0; at < line.size();) {
    if (line[at] == '\x1b') {
      const auto end = line.find('m', at);
      out += line.substr(at, end - at + 1);
      painted = true;
      at = end + 1;
      continue;
    }
    std::size_t end = at + 1;
    while (end < line.size() && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) ++end;
    used += display_width(std::string_view(line).substr(at, end - at));
    if (used > width) return out + (painted ? "\x1b[0m" : "");
    out += line.substr(at, end - at);
    at = end;
  }
  return out;
}

std::string pad(std::string_view text, std::size_t width, bool right) {
  const auto have = display_width(text);
  const std::string space(width > have ? width - have : 0, ' ');
  return right ? space + std::string(text) : std::string(text) + space;
}

std::string short_id(std::string_view id) {
  if (!parse_uuid(id)) return std::string(id);
  return "…" + std::string(id.substr(id.size() - 8));
}

std::string ago(Millis then, Millis now) {
  const bool future = then > now;
  const Millis s = (future ? then - now : now - then) / 1'000;
  std::string text;
  if (s < 60)
    text = std::to_string(s) + "s";
  else if (s < 3'600)
    text = std::to_string(s / 60) + "m";
  else if (s < 48 * 3'600)
    text = std::to_string(s / 3'600) + "h";
  else
    text = std::to_string(s / 86'400) + "d";
  return future ? "in " + text : text + " ago";
}

std::string took(Millis ms) {
  char text[48];
  const auto m = static_cast<long long>(std::max<Millis>(ms, 0));
  if (m < 1'000)
    std::snprintf(text, sizeof text, "%.2f s", double(m) / 1'000);
  else if (m < 60'000)
    std::snprintf(text, sizeof text, "%.1f s", double(m) / 1'000);
  else if (m < 3'600'000)
    std::snprintf(text, sizeof text, "%lldm %llds", m / 60'000, m / 1'000 % 60);
  else if (m < 48 * 3'600'000ll)
    std::snprintf(text, sizeof text, "%lldh %lldm", m / 3'600'000, m / 60'000 % 60);
  else
    std::snprintf(text, sizeof text, "%lldd %lldh", m / 86'400'000, m / 3'600'000 % 24);
  return text;
}

std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number < 0 ? -number : number);
  for (int at = int(digits.size()) - 3; at > 0; at -= 3) digits.insert(std::size_t(at), 1, ',');
  return number < 0 ? "-" + digits : digits;
}

std::string plural(std::int64_t n, std::string_view noun) {
  std::string text = grouped(n) + " " + std::string(noun);
  if (n == 1) return text;
  return text + (noun.ends_with("ch") || noun.ends_with("s") ? "es" : "s");
}

std::string joined(const std::vector<std::string>& words, std::string_view separator) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) text += (i > 0 ? std::string(separator) : "") + words[i];
  return text;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const auto at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string home_short(const std::string& path) {
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == 0) return path;
  const std::string prefix = std::string(home) + "/";
  return path.starts_with(prefix) ? "~/" + path.substr(prefix.size()) : path;
}

std::string shell_quoted(const std::string& word) {
  const bool plain = !word.empty() && word.find_first_not_of(
                                          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                          "0123456789_-./=:,@%+") == std::string::npos;
  if (plain) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace geres::cli
