// SPDX-License-Identifier: Apache-2.0
// Boost.JSON silently accepts duplicate names (the last wins), NUL in strings, 1e999 as infinity and 2^64 as a double.
// The parser's handler refuses all four while the document is built, and reads doubles again.
#include "base/json.h"

#include <fmt/format.h>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serializer.hpp>
#include <boost/json/value_stack.hpp>
#include <charconv>
#include <cmath>

#include "base/bytes.h"
#include "base/similar.h"

namespace geres::json {
namespace {

namespace bj = boost::json;

struct Handler {
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);

  bj::storage_ptr storage;
  bj::value_stack stack;
  std::size_t names = 0;  // names read, to be compared with the number that the document holds
  const char* trouble = nullptr;

  bool refuse(const char* why, bj::error_code& ec) {
    trouble = why;
    ec = bj::error::syntax;
    return false;
  }
  static bool has_nul(bj::string_view s) { return s.find('\0') != bj::string_view::npos; }

  bool on_document_begin(bj::error_code&) { return stack.reset(storage), true; }
  bool on_document_end(bj::error_code&) { return true; }
  bool on_object_begin(bj::error_code&) { return true; }
  bool on_object_end(std::size_t n, bj::error_code&) { return stack.push_object(n), true; }
  bool on_array_begin(bj::error_code&) { return true; }
  bool on_array_end(std::size_t n, bj::error_code&) { return stack.push_array(n), true; }
  bool on_key_part(bj::string_view s, std::size_t, bj::error_code& ec) {
    if (has_nul(s)) return refuse("a name contains a NUL character", ec);
    return stack.push_chars(s), true;
  }
  bool on_key(bj::string_view s, std::size_t, bj::error_code& ec) {
    if (has_nul(s)) return refuse("a name contains a NUL character", ec);
    ++names;
    return stack.push_key(s), true;
  }
  bool on_string_part(bj::string_view s, std::size_t, bj::error_code& ec) {
    if (has_nul(s)) return refuse("a string contains a NUL character", ec);
    return stack.push_chars(s), true;
  }
  bool on_string(bj::string_view s, std::size_t, bj::error_code& ec) {
    if (has_nul(s)) return refuse("a string contains a NUL character", ec);
    return stack.push_string(s), true;
  }
  bool on_number_part(bj::string_view, bj::error_code&) { return true; }
  bool on_int64(std::int64_t i, bj::string_view, bj::error_code&) { return stack.push_int64(i), true; }
  bool on_uint64(std::uint64_t u, bj::string_view, bj::error_code&) { return stack.push_uint64(u), true; }
  bool on_double(double d, bj::string_view s, bj::error_code& ec) {
    if (!std::isfinite(d)) return refuse("a number is too large for a double", ec);
    // Boost's result may be off by one bit, and then a number would change each time it is passed on.
    if (double exact = 0; std::from_chars(s.data(), s.data() + s.size(), exact).ec == std::errc()) d = exact;
    if (s.find_first_of(".eE") == bj::string_view::npos)
      return refuse("a whole number does not fit in 64 bits (write it as a string)", ec);
    return stack.push_double(d), true;
  }
  bool on_bool(bool b, bj::error_code&) { return stack.push_bool(b), true; }
  bool on_null(bj::error_code&) { return stack.push_null(), true; }
  bool on_comment_part(bj::string_view, bj::error_code&) { return true; }
  bool on_comment(bj::string_view, bj::error_code&) { return true; }
};

std::size_t count_names(const value& v) {
  std::size_t names = 0;
  if (const auto* members = v.if_object()) {
    names = members->size();
    for (const auto& member : *members) names += count_names(member.value());
  } else if (const auto* items = v.if_array()) {
    for (const auto& item : *items) names += count_names(item);
  }
  return names;
}

Error malformed(std::string_view text, std::size_t at, std::string_view why) {
  at = std::min(at, text.size());
  const auto before = text.substr(0, at);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const auto line_start = before.rfind('\n');
  const auto column = line_start == std::string_view::npos ? at + 1 : at - line_start;
  return fail(Code::malformedJson, fmt::format("line {}, column {}: {}", line, column, why));
}

}  // namespace

Result<value> parse(std::string_view text, bj::storage_ptr storage) {
  bj::basic_parser<Handler> parser{bj::parse_options{}};
  parser.handler().storage = std::move(storage);
  bj::error_code ec;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), ec);
  auto& handler = parser.handler();
  if (!ec && used < text.size()) return malformed(text, used, "something follows the document");
  if (ec) {
    if (handler.trouble != nullptr) return malformed(text, used, handler.trouble);
    if (ec == bj::error::too_deep) return malformed(text, used, "nested deeper than 32 levels");
    if (ec == bj::error::incomplete) return malformed(text, text.size(), "the document ends too early");
    return malformed(text, used, ec.message());
  }
  value document = handler.stack.release();
  if (count_names(document) != handler.names)
    return fail(Code::malformedJson, "an object has the same name twice", {}, "each name once");
  return document;
}

std::string_view kind_name(const value& v) {
  switch (v.kind()) {
    case bj::kind::null:
      return "null";
    case bj::kind::bool_:
      return "true or false";
    case bj::kind::int64:
    case bj::kind::uint64:
    case bj::kind::double_:
      return "a number";
    case bj::kind::string:
      return "a string";
    case bj::kind::array:
      return "a list";
    case bj::kind::object:
      return "an object";
  }
  return "something else";
}

Error wrong_kind(std::string_view wanted, const value& got) {
  return fail(Code::wrongType, fmt::format("expected {}, got {}", wanted, kind_name(got)), {}, std::string(wanted));
}

Error unknown_member(std::string_view name, const std::vector<std::string>& known) {
  const std::string close = nearest(name, known);
  std::string hint;
  if (!close.empty()) {
    hint = fmt::format("did you mean '{}'?", close);
  } else {
    hint = "known here:";
    for (const auto& k : known) hint += (&k == &known.front() ? " " : ", ") + k;
  }
  const auto shown = utf8_prefix(name, 100);
  return fail(Code::unknownField, fmt::format("'{}' is not a known field", shown), pointer_token(shown), hint);
}

std::string pointer_token(std::string_view name) {
  std::string token = "/";
  for (const char c : name) {
    if (c == '~')
      token += "~0";
    else if (c == '/')
      token += "~1";
    else
      token += c;
  }
  return token;
}

void put_text(std::string& to, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  to += '"';
  std::size_t done = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    to.append(text, done, i - done);
    done = i + 1;
    to += '\\';
    switch (c) {
      case '"':
      case '\\':
        to += char(c);
        break;
      case '\b':
        to += 'b';
        break;
      case '\f':
        to += 'f';
        break;
      case '\n':
        to += 'n';
        break;
      case '\r':
        to += 'r';
        break;
      case '\t':
        to += 't';
        break;
      default:
        to += "u00";
        to += kHex[c >> 4];
        to += kHex[c & 15];
    }
  }
  to.append(text, done);
  to += '"';
}

void put_json(std::string& to, const value& v) {
  bj::serializer serializer;
  serializer.reset(&v);
  char piece[4096];
  while (!serializer.done()) to += serializer.read(piece);
}

value Form<Raw>::write(const Raw& raw) {
  if (raw.text.empty()) return nullptr;
  return parse(raw.text).value();
}

}  // namespace geres::json
